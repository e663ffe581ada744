/** The log file of an evaluation in the form of inspect-ai. */
import type { Outcome, Result } from "./model.ts"

const choice = (text: string) => ({
  message: { role: "assistant", content: text, source: "generate" },
  stop_reason: "stop"
})

const sampleOf = (model: string, { error, id, input, target, samples }: Outcome, epoch: number) => {
  const sample = samples[epoch]
  const text = sample?.text ?? ""
  return {
    id,
    epoch: epoch + 1,
    input,
    target: target ?? "",
    messages: [
      { role: "user", content: input, source: "input" },
      { role: "assistant", content: text, source: "generate" }
    ],
    output: { model, choices: [choice(text)], completion: text },
    scores: { grade: { value: sample?.score ?? 0, answer: text } },
    metadata: {},
    store: {},
    events: [],
    model_usage: {},
    attachments: {},
    ...(error === undefined ? {} : { error: { message: error, traceback: error, traceback_ansi: error } })
  }
}

/** @internal */
export const toInspectLog = (
  { name, model, samples, outcomes, accuracy, standardError, errors }: Result,
  created: string
): unknown => {
  const epochs = Array.from({ length: samples }, (_, epoch) => epoch)
  const metric = (name: string, value: number) => [name, { name, value, params: {} }] as const
  return {
    version: 2,
    status: "success",
    eval: {
      created,
      eval_id: name,
      run_id: name,
      task: name,
      task_id: name,
      task_version: 0,
      dataset: { name, samples: outcomes.length, sample_ids: outcomes.map(({ id }) => id), shuffled: false },
      model,
      model_args: {},
      task_attribs: {},
      task_args: {},
      config: { epochs: samples },
      packages: {}
    },
    plan: { name: "plan", steps: [], config: {} },
    results: {
      total_samples: outcomes.length * samples,
      completed_samples: (outcomes.length - errors) * samples,
      scores: [
        {
          name: "grade",
          scorer: "grade",
          params: {},
          metrics: Object.fromEntries([metric("accuracy", accuracy), metric("stderr", standardError)])
        }
      ]
    },
    stats: { started_at: created, completed_at: created, model_usage: {} },
    samples: outcomes.flatMap((outcome) => epochs.map((epoch) => sampleOf(model, outcome, epoch)))
  }
}
