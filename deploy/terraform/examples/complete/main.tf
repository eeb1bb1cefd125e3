# A new table of the design `ordered`, two topics, and a topic that is told of alarms.

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

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch may not publish to a topic with AWS's own key, and an alarm holds no payload
  name = "orders-outbox-alarms"
}

module "outbox" {
  source = "../.."

  name             = "orders-outbox"
  package_file     = "../../../../dist/outbox_sdk_lambda_arm64.zip"
  topic_prefix     = "orders-"
  create_topics    = ["created.fifo", "viewed"]
  allowed_topics   = ["created.fifo", "viewed"]
  alarm_topic_arns = [aws_sns_topic.alarms.arn]
}

output "table_name" {
  description = "For the producers' `Outbox(...)`."
  value       = module.outbox.table_name
}

output "topic_arns" {
  description = "For consumers to subscribe to."
  value       = module.outbox.topic_arns
}
