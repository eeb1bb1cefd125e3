# Where Lambda keeps what it gives up: whole events, payloads included.

locals {
  # Known before it is made, so that policies are too; an account id makes it nobody else's.
  failures_bucket = coalesce(var.existing_failures_bucket, "${var.name}-failures-${local.account}-${local.region}")
}

resource "aws_s3_bucket" "failures" {
  #checkov:skip=CKV_AWS_18:Lambda alone writes here, and access is in CloudTrail's data events where it is wanted
  #checkov:skip=CKV_AWS_144:a second Region does not help, for the relay of another Region has its own stream
  #checkov:skip=CKV2_AWS_62:an alarm tells of each object by the mapping's metric, so no event is needed
  count = var.existing_failures_bucket == null ? 1 : 0

  bucket = local.failures_bucket
  tags   = var.tags
}

resource "aws_s3_bucket_public_access_block" "failures" {
  count = length(aws_s3_bucket.failures)

  bucket                  = aws_s3_bucket.failures[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "failures" {
  count = length(aws_s3_bucket.failures)

  bucket = aws_s3_bucket.failures[0].id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.failures_kms_key_arn
    }
  }
}

resource "aws_s3_bucket_versioning" "failures" {
  count = length(aws_s3_bucket.failures)

  bucket = aws_s3_bucket.failures[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "failures" {
  count = length(aws_s3_bucket.failures)

  bucket = aws_s3_bucket.failures[0].id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.failures_retention_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.failures]
}

resource "aws_s3_bucket_policy" "failures" {
  count = length(aws_s3_bucket.failures)

  bucket = aws_s3_bucket.failures[0].id
  policy = local.bucket_policy

  depends_on = [aws_s3_bucket_public_access_block.failures]
}
