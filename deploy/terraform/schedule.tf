resource "aws_iam_role" "invoker" {
  name               = "${var.name}-schedule-${local.region}"
  assume_role_policy = local.invoker_trust
  tags               = var.tags
}

resource "aws_iam_role_policy" "invoker" {
  name   = "invoke"
  role   = aws_iam_role.invoker.id
  policy = local.invoker_policy
}

resource "aws_scheduler_schedule" "sweep" {
  #checkov:skip=CKV_AWS_297:the event that it sends is empty, so there is nothing for a customer's key to keep
  name                = "${var.name}-sweep"
  schedule_expression = var.sweep_schedule

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.function["sweeper"].arn
    role_arn = aws_iam_role.invoker.arn
    input    = jsonencode({})
  }

  depends_on = [aws_iam_role_policy.invoker]
}
