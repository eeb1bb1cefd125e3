terraform {
  # Preconditions came with 1.2.
  required_version = ">= 1.2"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # From 6.0 on a Region is read from `region` of the data source.
      version = ">= 6.0, < 7.0"
    }
  }
}
