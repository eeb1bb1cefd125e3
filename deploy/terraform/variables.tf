variable "name" {
  description = "What everything is called after: functions, alarms, the dashboard, and the table unless it has a name of its own."
  type        = string
  default     = "outbox"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,25}$", var.name))
    error_message = "Up to 26 of a-z, 0-9 and -: a bucket is named after it."
  }
}

variable "package_file" {
  description = "The zip of both functions, as `nox -s package` builds it for the architecture."
  type        = string
}

variable "architecture" {
  description = "The platform that the zip was built for: `arm64` or `x86_64`."
  type        = string
  default     = "arm64"
}

variable "runtime" {
  description = "The runtime that the zip was built for; by default the SDK's."
  type        = string
  default     = null
}

variable "design" {
  description = "The table's design: `ordered`, `message_keyed`, or one of your own in `data_file`."
  type        = string
  default     = "ordered"
}

variable "data_file" {
  description = "A file that `python -m deploy.generate --design NAME=DESIGN --output FILE` wrote, for a table with names of its own."
  type        = string
  default     = null
}

variable "mark_strategy" {
  description = "How messages are marked: `batch`, `single` or `delete`."
  type        = string
  default     = "batch"
}

variable "table_name" {
  description = "The name of the table that is made; by default `name`."
  type        = string
  default     = null
}

variable "existing_table_name" {
  description = "A table that exists already: none is made."
  type        = string
  default     = null
}

variable "existing_table_stream_arn" {
  description = "The stream of the existing table."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Whether the table refuses to be deleted."
  type        = bool
  default     = true
}

variable "dispatched_ttl_days" {
  description = "After how many days dispatched items expire; 0 is never. By default 7 for a design with a local secondary index, which caps an aggregate at 10 GB, and never for others."
  type        = number
  default     = null
}

variable "topic_prefix" {
  description = "Put before every topic name; also what the relay may reach."
  type        = string
  default     = ""
}

variable "allowed_topics" {
  description = "The topics that the relay may publish to, without the prefix, and its other destinations by their routes (sqs:NAME, eventbridge:BUS, kinesis:STREAM); by default all topics under the prefix."
  type        = set(string)
  default     = null

  validation {
    # A choice, because `||` evaluates both sides before Terraform 1.12.
    condition     = var.allowed_topics == null ? true : length(var.allowed_topics) > 0
    error_message = "An allow-list that is empty would allow no topic, or all: name some, or leave it null for all under the prefix."
  }
}

variable "allow_any_topic" {
  description = "Allow a relay with neither prefix nor allow-list, which reaches every topic of the account."
  type        = bool
  default     = false
}

variable "create_topics" {
  description = "Topics to make, without the prefix; `.fifo` at the end makes it FIFO."
  type        = set(string)
  default     = []
}

variable "settings" {
  description = "Further settings, by the fields of `RelayConfiguration`: `{ outbox_envelope = \"cloudevents\" }`."
  type        = map(string)
  default     = {}
}

variable "environment" {
  description = "Further environment variables of both functions, such as `POWERTOOLS_LOG_LEVEL`, which is `DEBUG` or `INFO`."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for name in ["POWERTOOLS_LOG_LEVEL", "LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL"] :
      contains(["", "DEBUG", "INFO"], upper(lookup(var.environment, name, "")))
    ])
    error_message = "The log's level is DEBUG or INFO: above that it would not say what became of a batch, which is what alarms lead to."
  }

  validation {
    condition = alltrue([
      for name in ["POWERTOOLS_METRICS_DISABLED", "POWERTOOLS_DEV"] :
      contains(["", "0", "n", "no", "f", "false", "off"], lower(lookup(var.environment, name, "")))
    ])
    error_message = "The functions' metrics stay on: without them the alarms see nothing, and stay green."
  }
}

variable "batch_size" {
  description = "How many records Lambda brings at most; by default the SDK's."
  type        = number
  default     = null
}

variable "batch_window" {
  description = "How many seconds Lambda waits for a batch to fill; by default the SDK's."
  type        = number
  default     = null
}

variable "parallelization_factor" {
  description = "How many batches of a shard are relayed at a time; above 1 gives up the order of an aggregate. By default the SDK's, 1."
  type        = number
  default     = null
}

variable "maximum_record_age" {
  description = "After how many seconds Lambda gives a record up; by default the SDK's, a little less than the stream holds."
  type        = number
  default     = null
}

variable "mapping_enabled" {
  description = "Whether the relay runs; off to publish a backlog first."
  type        = bool
  default     = true
}

variable "relay_memory_size" {
  description = "Megabytes of the relay; the processor grows with it."
  type        = number
  default     = 512
}

variable "relay_timeout" {
  description = "Seconds that a batch may take."
  type        = number
  default     = 60
}

variable "relay_reserved_concurrency" {
  description = "Concurrency that is kept for the relay, and its bound; by default none."
  type        = number
  default     = null
}

variable "sweeper_memory_size" {
  description = "Megabytes of the sweeper."
  type        = number
  default     = 512
}

variable "sweeper_timeout" {
  description = "Seconds that a sweep may take."
  type        = number
  default     = 300
}

variable "sweeper_reserved_concurrency" {
  description = "Concurrency that is kept for the sweeper, and its bound; by default none."
  type        = number
  default     = null
}

variable "sweep_schedule" {
  description = "When it sweeps, in the words of EventBridge Scheduler; an alarm expects one a day."
  type        = string
  default     = "rate(1 hour)"
}

variable "claim_bucket" {
  description = "A bucket of this account whose claimed bodies the sweeper deletes when they are orphaned; by default none."
  type        = string
  default     = null
}

variable "claim_prefix" {
  description = "What the keys of claimed bodies begin with."
  type        = string
  default     = "claims/"
}

variable "claim_minimum_age_days" {
  description = "For how many days a queue may keep a message; by default the SDK's, the longest that SQS does."
  type        = number
  default     = null
}

variable "existing_failures_bucket" {
  description = "A bucket of this account for what Lambda gives up: none is made."
  type        = string
  default     = null
}

variable "failures_retention_days" {
  description = "How long the bucket keeps what Lambda gave up."
  type        = number
  default     = 30
}

variable "log_retention_days" {
  description = "How long logs are kept, of those numbers that CloudWatch takes."
  type        = number
  default     = 365
}

variable "table_kms_key_arn" {
  description = "The customer's key of the table, made or existing; by default AWS's key for DynamoDB."
  type        = string
  default     = null
}

variable "topics_kms_key_arn" {
  description = "The customer's key of the topics, made or existing; by default AWS's key for SNS."
  type        = string
  default     = null
}

variable "failures_kms_key_arn" {
  description = "The customer's key of the bucket; by default AWS's key for S3."
  type        = string
  default     = null
}

variable "logs_kms_key_arn" {
  description = "The customer's key of the log groups; its own policy has to let CloudWatch Logs use it."
  type        = string
  default     = null
}

variable "other_kms_key_arns" {
  description = "Further keys that the roles need: of topics that exist with keys of their own."
  type        = list(string)
  default     = []
}

variable "code_signing_config_arn" {
  description = "A code signing configuration, for a zip that you have signed."
  type        = string
  default     = null
}

variable "alarm_topic_arns" {
  description = "Topics that are told of alarms, and of their end."
  type        = list(string)
  default     = []
}

variable "alarm_thresholds" {
  description = "Other thresholds, by alarm: `{ OldestOutstanding = 14400 }`."
  type        = map(number)
  default     = {}
}

variable "tags" {
  description = "Tags of everything that takes some."
  type        = map(string)
  default     = {}
}
