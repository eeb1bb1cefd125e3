resource "aws_dynamodb_table" "outbox" {
  #checkov:skip=CKV_AWS_119:table_kms_key_arn gives a customer's key; without one, AWS's own key for DynamoDB
  count = var.existing_table_name == null ? 1 : 0

  name                        = local.table_name
  billing_mode                = local.design.billing_mode
  hash_key                    = local.design.key.hash
  range_key                   = local.design.key.range
  stream_enabled              = true
  stream_view_type            = local.design.stream_view_type
  deletion_protection_enabled = var.deletion_protection
  tags                        = var.tags

  dynamic "attribute" {
    for_each = local.design.attributes
    content {
      name = attribute.key
      type = attribute.value
    }
  }

  dynamic "global_secondary_index" {
    for_each = local.design.global_secondary_indexes
    content {
      name            = global_secondary_index.value.name
      hash_key        = global_secondary_index.value.hash
      range_key       = global_secondary_index.value.range
      projection_type = global_secondary_index.value.projection
    }
  }

  dynamic "local_secondary_index" {
    for_each = local.design.local_secondary_indexes
    content {
      name            = local_secondary_index.value.name
      range_key       = local_secondary_index.value.range
      projection_type = local_secondary_index.value.projection
    }
  }

  ttl {
    attribute_name = local.design.ttl_attribute
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.table_kms_key_arn
  }
}

locals {
  stream_arn = var.existing_table_name == null ? one(aws_dynamodb_table.outbox[*].stream_arn) : var.existing_table_stream_arn
}
