# Topics are named as producers name them, without the prefix.
resource "aws_sns_topic" "created" {
  for_each = var.create_topics

  name              = "${var.topic_prefix}${each.value}"
  fifo_topic        = length(regexall("\\.fifo$", each.value)) > 0
  kms_master_key_id = coalesce(var.topics_kms_key_arn, "alias/aws/sns")
  tags              = var.tags
}
