# What comes from the SDK, by way of outbox.json, with this deployment's values in place of the `@name@`s.
# No resource is named here, so that all of it can be evaluated without a provider.

locals {
  sdk    = jsondecode(file(coalesce(var.data_file, "${path.module}/outbox.json")))
  design = local.sdk.designs[var.design]

  table_name     = coalesce(var.existing_table_name, var.table_name, var.name)
  function_names = { for role, handler in local.sdk.function.handlers : role => "${var.name}-${role}" }
  runtime        = coalesce(var.runtime, local.sdk.function.runtime)
  namespace      = "Outbox/${var.name}" # of what is read from the logs

  # As the functions choose it.
  metrics_namespace = coalesce(lookup(var.environment, "POWERTOOLS_METRICS_NAMESPACE", ""), local.sdk.metrics_namespace)

  # None is an empty one here; variables.tf refuses an empty one that is given.
  allowed_topics = var.allowed_topics == null ? [] : sort(tolist(var.allowed_topics))
  topics_bounded = var.topic_prefix != "" || length(local.allowed_topics) > 0 || var.allow_any_topic
}

# The functions' environment: both have the same.
locals {
  dispatched_ttl_days = coalesce(var.dispatched_ttl_days, local.design.dispatched_ttl_days, 0)

  # By the fields of the SDK's configuration; what their variables are called, the SDK says.
  own_settings = {
    aws_sns_topic_prefix          = var.topic_prefix
    dynamodb_outbox_table_name    = local.table_name
    outbox_allowed_topics         = join(",", local.allowed_topics)
    outbox_claim_bucket           = join("", local.claim_buckets)
    outbox_claim_minimum_age_days = var.claim_minimum_age_days == null ? "" : tostring(var.claim_minimum_age_days)
    outbox_claim_prefix           = var.claim_prefix
    outbox_dispatched_ttl_days    = local.dispatched_ttl_days > 0 ? tostring(local.dispatched_ttl_days) : ""
    outbox_mark_strategy          = var.mark_strategy
    outbox_table_design           = local.design.text
  }
  settings_twice = setintersection(keys(var.settings), keys(local.own_settings))

  environment = merge(
    { for field, value in merge(var.settings, local.own_settings) : local.sdk.variables[field] => value if value != "" },
    var.environment,
  )
}

# The event source mapping.
locals {
  mapping = local.design.mapping[var.mark_strategy]

  batch_size             = coalesce(var.batch_size, local.mapping.BatchSize)
  batch_window           = coalesce(var.batch_window, local.mapping.MaximumBatchingWindowInSeconds)
  maximum_record_age     = coalesce(var.maximum_record_age, local.mapping.MaximumRecordAgeInSeconds)
  parallelization_factor = coalesce(var.parallelization_factor, local.mapping.ParallelizationFactor)
}

# The policies.
locals {
  keys = distinct(compact(concat(
    [var.table_kms_key_arn, var.topics_kms_key_arn, var.failures_kms_key_arn], var.other_kms_key_arns
  )))
  # One or none.
  claim_buckets = compact([var.claim_bucket])
  # By placeholder, the names that the allowed routes have behind their scheme; a topic's has none, and no colon.
  destinations = {
    for placeholder, kind in local.sdk.destinations : placeholder => (
      kind.scheme == "" && length(local.allowed_topics) == 0 ? ["*"] : [
        for route in local.allowed_topics : trimprefix(route, kind.scheme)
        if kind.scheme == "" ? length(regexall(":", route)) == 0 : substr(route, 0, length(kind.scheme)) == kind.scheme
      ]
    )
  }
  several = merge(local.destinations, { "@key@" = local.keys, "@claim_bucket@" = local.claim_buckets })
  # Behind another service in the list of those that may use the keys.
  unused = join("|", [
    for placeholder, kind in local.sdk.destinations : kind.service if length(local.destinations[placeholder]) == 0
  ])

  # Text for text: what may stand for several is left for the next step.
  policy_texts = {
    for role, by_strategy in local.design.policies : role => replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(
      jsonencode(by_strategy[var.mark_strategy]),
      "/,\"(${local.unused})\\.@region@\\.@dns_suffix@\"/", ""),
      "@account@", local.account),
      "@bucket@", local.failures_bucket),
      "@claim_prefix@", var.claim_prefix),
      "@dns_suffix@", local.dns_suffix),
      "@function@", local.function_names[role]),
      "@partition@", local.partition),
      "@prefix@", var.topic_prefix),
      "@region@", local.region),
    "@table@", local.table_name)
  }
  # For one resource that is written with a placeholder, those that it stands for.
  resources = {
    for resource in distinct(flatten([for text in values(local.policy_texts) : jsondecode(text).Statement[*].Resource])) :
    resource => length([for placeholder in keys(local.several) : placeholder if length(regexall(placeholder, resource)) > 0]) == 0 ? [resource] : flatten([
      for placeholder, values in local.several : [for value in values : replace(resource, placeholder, value)]
      if length(regexall(placeholder, resource)) > 0
    ])
  }
  policies = {
    for role, text in local.policy_texts : role => jsonencode(merge(jsondecode(text), {
      Statement = [
        for statement in jsondecode(text).Statement :
        merge(statement, { Resource = flatten([for resource in statement.Resource : local.resources[resource]]) })
        if length(flatten([for resource in statement.Resource : local.resources[resource]])) > 0
      ]
    }))
  }

  trust_policy  = jsonencode(local.sdk.trust_policy)
  invoker_trust = replace(jsonencode(local.sdk.invoker_trust), "@account@", local.account)
  invoker_policy = replace(replace(replace(replace(
    jsonencode(local.sdk.invoker_policy),
    "@account@", local.account),
    "@function@", local.function_names["sweeper"]),
    "@partition@", local.partition),
  "@region@", local.region)
  bucket_policy = replace(
    jsonencode(local.sdk.bucket_policy), "@bucket@", "arn:${local.partition}:s3:::${local.failures_bucket}"
  )
}
