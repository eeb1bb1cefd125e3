# A table that exists, keyed by message, with topics that exist.

terraform {
  required_version = ">= 1.2"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

provider "aws" {
  region = "eu-west-1"
}

variable "topics_kms_key_arn" {
  description = "The key of the topics."
  type        = string
}

data "aws_dynamodb_table" "outbox" {
  name = "legacy-outbox"
}

module "outbox" {
  source = "../.."

  name                      = "legacy-outbox"
  package_file              = "../../../../dist/outbox_sdk_lambda_arm64.zip"
  design                    = "message_keyed"
  mark_strategy             = "single"
  existing_table_name       = data.aws_dynamodb_table.outbox.name
  existing_table_stream_arn = data.aws_dynamodb_table.outbox.stream_arn
  topic_prefix              = "legacy--"
  topics_kms_key_arn        = var.topics_kms_key_arn
  settings                  = { outbox_envelope = "tomodachi" }
}
