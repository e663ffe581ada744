/**
 * Keeps the port to Effect 4 small (docs/decisions/effect-4.md): sources use the forms that both lines have; a feature
 * without a common form is used in at most one file of a package.
 */
import { packages, parse, shortPath } from "./sources.mjs"

/** Forms that Effect 4 lacks, and the ones to use instead. */
const forbidden = [
  [/\bEffect\.zip(?:Right|Left)\b/, "use Effect.andThen, Effect.flatMap or Effect.tap"],
  [/\bFiber\.(?:zip|map|succeed)\b/, "use Effect.all with Fiber.join"],
  [/\.epochMillis\b/, "use DateTime.toEpochMillis"],
  [/from "effect\/FastCheck"/, "import fast-check"]
]

/** What changes in Effect 4 without a common form: each in one file a package. */
const confined = {
  "the runtime": /^import \* as Runtime from "effect\/Runtime"/m,
  "fiber refs": /^import \* as FiberRefs? from "effect\/FiberRefs?"/m,
  ParseResult: /^import \* as ParseResult from "effect\/ParseResult"/m,
  "metric keys": /^import \* as MetricKey from "effect\/MetricKey"/m,
  supervisors: /^import \* as Supervisor from "effect\/Supervisor"/m,
  "errors of the HttpClient": /^import \* as HttpClientError from "@effect\/platform\/HttpClientError"/m,
  semaphores: /\bEffect\.(?:unsafeM|m)akeSemaphore\b/,
  "unsafe deferreds": /\bDeferred\.unsafe\w+/,
  "Schema.optionalWith": /\bSchema\.optionalWith\b/,
  "Duration.DurationInput": /\bDuration\.DurationInput\b/
}

const withoutComments = (text) => text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "))

export const check = (report) => {
  for (const { directory, sources } of packages) {
    const users = new Map(Object.keys(confined).map((name) => [name, []]))
    for (const path of sources) {
      const code = withoutComments(parse(path).text)
      for (const [i, line] of code.split("\n").entries()) {
        for (const [pattern, advice] of forbidden) if (pattern.test(line)) report(path, i + 1, advice)
      }
      for (const [name, pattern] of Object.entries(confined)) if (pattern.test(code)) users.get(name).push(path)
    }
    for (const [name, paths] of users) {
      if (paths.length > 1) report(directory, 0, `uses ${name} in ${paths.map(shortPath).join(", ")}: one file may`)
    }
  }
}
