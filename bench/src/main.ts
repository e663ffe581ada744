/** `npm run bench -- NAME` runs `NAME.ts` in this directory, and prints its figures last. */
import { readdirSync } from "node:fs"

/** Every benchmark is a module whose default export prints. */
export interface Benchmark {
  readonly default: (print?: (line: string) => void) => Promise<void>
}

const names = readdirSync(new URL(".", import.meta.url))
  .filter((file) => file.endsWith(".ts") && file !== "main.ts" && file !== "figure.ts")
  .map((file) => file.slice(0, -".ts".length))
  .sort()

const [name] = process.argv.slice(2)

if (name === undefined || !names.includes(name)) {
  console.error(`usage: npm run bench -- NAME, where NAME is one of ${names.join(", ")}`)
  process.exitCode = 2
} else {
  // figures come last, after the lines for people to read
  const figures: Array<string> = []
  const benchmark = (await import(new URL(`${name}.ts`, import.meta.url).href)) as Benchmark
  await benchmark.default((line) => {
    if (line.startsWith("figure\t")) figures.push(line)
    else console.log(line)
  })
  for (const line of figures) console.log(line)
}
