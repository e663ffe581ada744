/** Builds the bundle once for all tests of this package. */
import { fileURLToPath } from "node:url"
import { bundle } from "../../scripts/bundle.mjs"

export default () =>
  bundle({
    outdir: fileURLToPath(new URL("../../build/bundle", import.meta.url)),
    local: new URL("../../src/internal/service/local.ts", import.meta.url).href
  })
