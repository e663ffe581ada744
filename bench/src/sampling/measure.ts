/** What each client of the sampling benchmark measures. */

/** The figures of one client; its process prints them as JSON. */
export interface Measured {
  readonly samplesPerSecond: number
  readonly p50Millis: number
  readonly p99Millis: number
  readonly cpuMicrosPerSample: number
  readonly peakMiB: number
}

/** The number of tokens in the prompt that every client sends. */
export const promptTokens = 128

/** The arguments of a process: the URL of the service, the number of samples, and how many are in flight. */
export const args = () => {
  const [url, count, inFlight] = process.argv.slice(2)
  return { url: url!, count: Number(count), inFlight: Number(inFlight) }
}

/** Warms up, measures `count` samples, and prints the figures. */
export const measure = async (
  options: { readonly count: number; readonly inFlight: number },
  run: (count: number, took: (millis: number) => void) => Promise<void>
): Promise<void> => {
  await run(Math.min(options.count, options.inFlight * 2), () => {})
  const latencies: Array<number> = []
  const cpu = process.cpuUsage()
  const start = performance.now()
  await run(options.count, (millis) => latencies.push(millis))
  const seconds = (performance.now() - start) / 1000
  const { system, user } = process.cpuUsage(cpu)
  latencies.sort((a, b) => a - b)
  const measured: Measured = {
    samplesPerSecond: options.count / seconds,
    p50Millis: latencies[Math.floor(latencies.length * 0.5)]!,
    p99Millis: latencies[Math.floor(latencies.length * 0.99)]!,
    cpuMicrosPerSample: (system + user) / options.count,
    peakMiB: process.resourceUsage().maxRSS / 1024
  }
  console.log(JSON.stringify(measured))
}
