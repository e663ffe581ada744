/** The shape of the trace that `npm run observe` must find. */

const operation = (name: string, server: string): ReadonlyArray<string> => [
  `  ${name}`,
  "    http.server POST",
  `      tinker.server.${server}`,
  "        tinker.server.queue",
  "        tinker.server.compute"
]

/** Without the queries of the database, whose number is a matter of the store. */
export const expected: ReadonlyArray<string> = [
  "program",
  "  ServiceClient.createSession",
  "    http.server POST",
  ...operation("ServiceClient.createLoraTrainingClient", "CreateModel"),
  ...operation("TrainingClient.forwardBackward", "ForwardBackward"),
  ...operation("TrainingClient.optimStep", "OptimStep"),
  ...operation("TrainingClient.saveWeightsAndGetSamplingClient", "SaveWeightsForSampler"),
  ...operation("SamplingClient.sample", "Sample"),
  ...operation("SamplingClient.sample", "Sample"),
  ...operation("SamplingClient.sample", "Sample"),
  // the session ends
  "  http.server POST"
]

/** The first line that differs; `undefined` if none does. */
export const difference = (lines: ReadonlyArray<string>): string | undefined => {
  const found = lines.filter((line) => line.trim() !== "sql.execute")
  const length = Math.max(found.length, expected.length)
  for (let i = 0; i < length; i++) {
    if (found[i] !== expected[i]) {
      return `line ${i + 1} of the trace is ${JSON.stringify(found[i])}, not ${JSON.stringify(expected[i])}`
    }
  }
  return undefined
}
