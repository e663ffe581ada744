import { assert, describe, it } from "@effect/vitest"
import * as Session from "@effect-tinker/api/Session"

describe("Session", () => {
  it("has a default for every flag that the client reads", () => {
    const flags = Object.keys(Session.ClientConfigResponse.fields)
    const unused = ["use_pyqwest_transport", "proto_write_fwdbwd"]
    assert.deepStrictEqual(
      flags.filter((flag) => !unused.includes(flag)).toSorted(),
      Object.keys(Session.clientDefaults).toSorted()
    )
  })
})
