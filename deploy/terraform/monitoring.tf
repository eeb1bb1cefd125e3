locals {
  # Whole values of the alarms' fields; a mapping has its id only once it is made.
  watched = {
    "@mapping@"           = aws_lambda_event_source_mapping.relay.uuid
    "@metrics_namespace@" = local.metrics_namespace
    "@namespace@"         = local.namespace
    "@relay_function@"    = aws_lambda_function.function["relay"].function_name
    "@sweeper_function@"  = aws_lambda_function.function["sweeper"].function_name
    "@table@"             = local.table_name
  }
}

resource "aws_cloudwatch_log_metric_filter" "figure" {
  for_each = local.sdk.log_metrics

  name           = each.key
  log_group_name = aws_cloudwatch_log_group.function[each.value.function].name
  pattern        = each.value.pattern

  metric_transformation {
    name          = each.key
    namespace     = local.namespace
    value         = each.value.value
    unit          = each.value.unit
    default_value = each.value.default
  }
}

resource "aws_cloudwatch_metric_alarm" "alarm" {
  for_each = local.sdk.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.AlarmDescription
  namespace           = lookup(local.watched, each.value.Namespace, each.value.Namespace)
  metric_name         = each.value.MetricName
  dimensions          = { for name, value in each.value.Dimensions : name => lookup(local.watched, value, value) }
  statistic           = each.value.Statistic
  extended_statistic  = each.value.ExtendedStatistic
  period              = each.value.Period
  evaluation_periods  = each.value.EvaluationPeriods
  threshold           = lookup(var.alarm_thresholds, each.key, each.value.Threshold)
  comparison_operator = each.value.ComparisonOperator
  treat_missing_data  = each.value.TreatMissingData
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags

  lifecycle {
    precondition {
      condition     = length(setsubtract(keys(var.alarm_thresholds), keys(local.sdk.alarms))) == 0
      error_message = "alarm_thresholds names an alarm that there is not."
    }
  }
}

resource "aws_cloudwatch_dashboard" "outbox" {
  dashboard_name = var.name
  dashboard_body = replace(replace(replace(replace(replace(replace(replace(
    jsonencode(local.sdk.dashboard),
    "@mapping@", local.watched["@mapping@"]),
    "@metrics_namespace@", local.watched["@metrics_namespace@"]),
    "@namespace@", local.watched["@namespace@"]),
    "@region@", local.region),
    "@relay_function@", local.watched["@relay_function@"]),
    "@table@", local.watched["@table@"]),
  "@sweeper_function@", local.watched["@sweeper_function@"])
}
