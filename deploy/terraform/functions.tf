locals {
  memory_size = { relay = var.relay_memory_size, sweeper = var.sweeper_memory_size }
  timeout     = { relay = var.relay_timeout, sweeper = var.sweeper_timeout }
  reserved    = { relay = var.relay_reserved_concurrency, sweeper = var.sweeper_reserved_concurrency }
}

# Made here, so that no function may make a log group, and none is kept for ever.
resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_158:logs_kms_key_arn gives a customer's key; no line holds a payload
  for_each = local.function_names

  name              = "/aws/lambda/${each.value}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.logs_kms_key_arn
  tags              = var.tags
}

resource "aws_iam_role" "function" {
  for_each = local.function_names

  name               = "${each.value}-${local.region}"
  assume_role_policy = local.trust_policy
  tags               = var.tags
}

resource "aws_iam_role_policy" "function" {
  for_each = local.function_names

  name   = each.key
  role   = aws_iam_role.function[each.key].id
  policy = local.policies[each.key]

  lifecycle {
    precondition {
      condition     = local.topics_bounded
      error_message = "Set topic_prefix or allowed_topics: without both, a producer could reach every topic of the account. To allow that, set allow_any_topic."
    }
  }
}

resource "aws_lambda_function" "function" {
  #checkov:skip=CKV_AWS_50:tracing needs rights to X-Ray, which the least policy does not give
  #checkov:skip=CKV_AWS_115:concurrency is bounded by shards times the parallelization factor; a variable reserves some
  #checkov:skip=CKV_AWS_116:the mapping has a destination of its own, and a sweep that failed is followed by the next
  #checkov:skip=CKV_AWS_117:it calls public endpoints of AWS only, and has nothing to reach in a VPC
  #checkov:skip=CKV_AWS_173:the environment holds names and numbers, and no secret
  #checkov:skip=CKV_AWS_272:code_signing_config_arn gives a configuration to whoever signs
  for_each = local.function_names

  function_name                  = each.value
  role                           = aws_iam_role.function[each.key].arn
  handler                        = local.sdk.function.handlers[each.key]
  runtime                        = local.runtime
  architectures                  = [var.architecture]
  filename                       = var.package_file
  source_code_hash               = filebase64sha256(var.package_file)
  code_signing_config_arn        = var.code_signing_config_arn
  memory_size                    = local.memory_size[each.key]
  timeout                        = local.timeout[each.key]
  reserved_concurrent_executions = coalesce(local.reserved[each.key], -1)
  tags                           = var.tags

  environment {
    variables = local.environment
  }

  lifecycle {
    precondition {
      condition     = length(local.settings_twice) == 0
      error_message = "These settings have variables of their own: ${join(", ", local.settings_twice)}."
    }
    precondition {
      condition     = length(setintersection(keys(var.environment), values(local.sdk.variables))) == 0
      error_message = "Variables of the SDK are set by `settings` and by variables of their own: policies and filter follow those."
    }
    precondition {
      condition     = contains(local.sdk.function.runtimes, local.runtime) && contains(local.sdk.function.architectures, var.architecture)
      error_message = "No package is built for this runtime or architecture."
    }
  }

  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role_policy.function]
}

resource "aws_lambda_event_source_mapping" "relay" {
  event_source_arn                   = local.stream_arn
  function_name                      = aws_lambda_function.function["relay"].arn
  enabled                            = var.mapping_enabled
  starting_position                  = "TRIM_HORIZON" # LATEST could miss what is written while the mapping is made
  batch_size                         = local.batch_size
  maximum_batching_window_in_seconds = local.batch_window
  parallelization_factor             = local.parallelization_factor
  maximum_record_age_in_seconds      = local.maximum_record_age
  maximum_retry_attempts             = local.mapping.MaximumRetryAttempts
  bisect_batch_on_function_error     = local.mapping.BisectBatchOnFunctionError
  function_response_types            = local.mapping.FunctionResponseTypes
  tags                               = var.tags

  filter_criteria {
    dynamic "filter" {
      for_each = local.mapping.FilterCriteria.Filters
      content {
        pattern = filter.value.Pattern
      }
    }
  }

  destination_config {
    on_failure {
      destination_arn = "arn:${local.partition}:s3:::${local.failures_bucket}"
    }
  }

  metrics_config {
    metrics = local.mapping.MetricsConfig.Metrics
  }

  lifecycle {
    precondition {
      condition     = (var.existing_table_name == null) == (var.existing_table_stream_arn == null)
      error_message = "An existing table needs both existing_table_name and existing_table_stream_arn."
    }
  }

  # Lambda tries the role's rights when the mapping is made.
  depends_on = [aws_iam_role_policy.function, aws_s3_bucket_policy.failures]
}
