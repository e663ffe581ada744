import { fileURLToPath } from "node:url"
import { bundle } from "../../scripts/bundle.mjs"

/** The command as it is published is made once for all tests. */
export default () =>
  bundle({
    outdir: fileURLToPath(new URL("../../build/bundle", import.meta.url)),
    local: new URL("../../src/internal/service/local.ts", import.meta.url).href
  })
