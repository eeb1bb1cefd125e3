"""What tests share: servers, clients and doubles."""
