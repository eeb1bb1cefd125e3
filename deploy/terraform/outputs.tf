output "table_name" {
  description = "The outbox table, for producers."
  value       = local.table_name
}

output "table_arn" {
  description = "The ARN of the table that was made; null for an existing one."
  value       = one(aws_dynamodb_table.outbox[*].arn)
}

output "stream_arn" {
  description = "The table's stream."
  value       = local.stream_arn
}

output "topic_arns" {
  description = "The topics that were made, by name without the prefix."
  value       = { for name, topic in aws_sns_topic.created : name => topic.arn }
}

output "function_names" {
  description = "The functions, by role."
  value       = { for role, function in aws_lambda_function.function : role => function.function_name }
}

output "role_arns" {
  description = "The functions' roles, by role; for policies of topics and keys."
  value       = { for role, each in aws_iam_role.function : role => each.arn }
}

output "mapping_uuid" {
  description = "The event source mapping: to switch it off and on."
  value       = aws_lambda_event_source_mapping.relay.uuid
}

output "failures_bucket" {
  description = "Where Lambda keeps what it gives up."
  value       = local.failures_bucket
}

output "alarm_names" {
  description = "The alarms, by what they watch."
  value       = { for name, alarm in aws_cloudwatch_metric_alarm.alarm : name => alarm.alarm_name }
}

output "dashboard_name" {
  description = "The dashboard."
  value       = aws_cloudwatch_dashboard.outbox.dashboard_name
}
