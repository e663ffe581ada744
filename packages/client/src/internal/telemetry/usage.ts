/** The tokens of a sample or pass, by OpenTelemetry's conventions for generative AI. */
import type * as MetricLabel from "effect/MetricLabel"
import type * as Tracer from "effect/Tracer"
import { usageMetrics } from "./metricKeys.ts"

/** Named by the conventions where they have a name. @internal */
export type UsageOperation = "text_completion" | "forward" | "forward_backward"

/** @internal */
export class Usage {
  readonly operation: UsageOperation
  readonly inputTokens: number
  /** sampled tokens, and why each sequence ended; set by the result */
  outputTokens: number | undefined = undefined
  finishReasons: ReadonlyArray<string> = []

  constructor(operation: UsageOperation, inputTokens: number) {
    this.operation = operation
    this.inputTokens = inputTokens
  }

  /** Adds the attributes to a span. */
  describe(span: Tracer.Span): void {
    span.attribute("gen_ai.operation.name", this.operation)
    span.attribute("gen_ai.provider.name", "tinker")
    span.attribute("gen_ai.usage.input_tokens", this.inputTokens)
    if (this.outputTokens === undefined) return
    span.attribute("gen_ai.usage.output_tokens", this.outputTokens)
    span.attribute("gen_ai.response.finish_reasons", this.finishReasons)
  }

  /** Updates the metrics. */
  count(seconds: number, tags: ReadonlyArray<MetricLabel.MetricLabel>): void {
    const { duration, input, output } = usageMetrics[this.operation]
    duration.unsafeUpdate(seconds, tags)
    input.unsafeUpdate(this.inputTokens, tags)
    if (this.outputTokens !== undefined) output.unsafeUpdate(this.outputTokens, tags)
  }
}
