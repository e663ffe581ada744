/**
 * Tests are found from their modules: `test/Foo.test.ts` tests `src/Foo.ts`, `test/internal/room/file.test.ts` tests
 * `src/internal/room/file.ts`, and what tests no single module stands in `test/behaviour/`. Tests of types may be apart,
 * as `test/Foo.types.test.ts`.
 */
import { existsSync } from "node:fs"
import { join, relative, sep } from "node:path"
import { filesBelow, packages } from "./sources.mjs"

// programs that are run by hand, and what several tests share
const helpers = new Set(["utils", "longRuns"])

export const check = (report) => {
  for (const { directory } of packages) {
    for (const path of filesBelow(join(directory, "test"))) {
      const name = relative(join(directory, "test"), path)
      const [folder, ...rest] = name.split(sep)
      if (!name.endsWith(".test.ts")) {
        if (rest.length === 0 || !helpers.has(folder)) {
          report(path, 0, "is no test: move it to test/utils/ (or test/longRuns/, if it is run by hand)")
        }
        continue
      }
      if (folder === "behaviour") continue
      const module = join(directory, "src", name.replace(/(?:\.types)?\.test\.ts$/, ".ts"))
      if (existsSync(module)) continue
      report(
        path,
        0,
        `is named after no module (there is no ${relative(directory, module)}): rename it, or move it to test/behaviour/`
      )
    }
  }
}
