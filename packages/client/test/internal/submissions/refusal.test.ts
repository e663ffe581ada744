import * as TinkerError from "@effect-tinker/api/TinkerError"
import { assert, describe, it } from "@effect/vitest"
import * as refusal from "../../../src/internal/submissions/refusal.ts"

/** The error of a response. */
const responseOf = (
  status: number,
  detail = "",
  headers: { readonly [name: string]: string } = {}
): TinkerError.TinkerError =>
  TinkerError.fromResponse({ method: "m", status, headers, body: JSON.stringify({ detail }), now: 0 })

const invalid = new TinkerError.InvalidInput({ method: "m", path: "data", reason: "is empty" })
const transport = (reason: TinkerError.TransportError["reason"]) =>
  new TinkerError.TransportError({ method: "m", url: "http://tinker.test", reason } as never)
const unreadable = new TinkerError.DecodeError({ method: "m", reason: "no" } as never)

const first = { modelId: "model-1", reads: false, mayHaveArrived: false }
const later = { ...first, mayHaveArrived: true }

describe("an attempt that failed", () => {
  it("may have been accepted where no response, or none of use, came back", () => {
    assert.isTrue(refusal.isAmbiguous(transport("Connection")))
    assert.isFalse(refusal.isAmbiguous(transport("InvalidUrl")))
    assert.isTrue(refusal.isAmbiguous(unreadable))
    assert.isFalse(refusal.isAmbiguous(invalid))
    for (const [status, expected] of [
      [500, true],
      [503, true],
      [501, false],
      [400, false],
      [429, false]
    ] as const) {
      assert.strictEqual(refusal.isAmbiguous(responseOf(status)), expected, String(status))
    }
  })
})

describe("a request that failed", () => {
  it("is refused for certain by a response about the request, unless an earlier attempt may have arrived", () => {
    // status, detail, refused on the first attempt, on a later one, and where it only reads
    for (const [status, detail, onFirst, onLater, reading] of [
      [400, "", true, true, true],
      [401, "", true, false, true],
      [403, "", true, false, true],
      [403, "this model is not yours", true, false, true],
      [422, "", true, true, true],
      [413, "", true, false, true],
      [404, "no such route", true, false, true],
      [404, "there is no model", false, false, true],
      [404, "the session has ended", false, false, true],
      [404, "no training run of that name", false, false, true],
      [404, "no remodelling", true, false, true],
      [404, "unknown: model-1", false, false, true],
      [404, "model model-1: no checkpoint of it", true, false, true],
      [404, "model: no tinker://run/weights/a", true, false, true],
      [410, "checkpoint", false, false, true],
      [409, "conflict", false, false, true],
      [425, "", false, false, true],
      [500, "", false, false, false],
      [501, "", true, false, false],
      [503, "", false, false, false]
    ] as const) {
      const error = responseOf(status, detail, { "x-should-retry": "false" })
      assert.deepStrictEqual(
        [first, later, { ...later, reads: true }].map((circumstances) => refusal.isRefused(error, circumstances)),
        [onFirst, onLater, reading],
        `${status} ${detail}`
      )
    }
    // what may succeed later decides nothing
    for (const status of [408, 429]) {
      assert.isFalse(refusal.isRefused(responseOf(status), { ...first, reads: true }), String(status))
    }
  })

  it("is refused if nothing was sent, and not if nobody knows", () => {
    assert.isTrue(refusal.isRefused(invalid, first))
    assert.isFalse(refusal.isRefused(invalid, later))
    assert.isTrue(refusal.isRefused(invalid, { ...later, reads: true }))
    const command = new TinkerError.CredentialCommandFailed({ method: "m", path: "run", reason: "no" } as never)
    assert.isTrue(refusal.isRefused(command, first))
    for (const error of [transport("Connection"), unreadable]) {
      assert.isFalse(refusal.isRefused(error, { ...first, reads: true }))
    }
  })

  it("is not refused by a service that has lost the model", () => {
    const body = JSON.stringify({ detail: "lost", model_lost: { model_id: "m", last_saved: null, steps_lost: 1 } })
    const lost = TinkerError.fromResponse({ method: "m", status: 404, headers: {}, body, now: 0 })
    assert.strictEqual(lost._tag, "ModelLost")
    for (const reads of [false, true]) assert.isFalse(refusal.isRefused(lost, { ...first, reads }))
  })
})

describe("a 409", () => {
  it("names the number that it expects in many words, or none", () => {
    for (const [detail, expected] of [
      ["Sequence conflict: expected 3, got 4.", 3],
      ["EXPECTED seq_id 12", 12],
      ['{"expected_seq_id": 2147483647}', 2 ** 31 - 1],
      ["expects 1", 1],
      ["expect: 7", 7],
      ["expected 2147483648", undefined],
      ["expected 0", undefined],
      ["expected 12345678901", undefined],
      ["got 4", undefined],
      [`expected${" ".repeat(60)}4`, undefined],
      ["expected something", undefined]
    ] as const) {
      assert.strictEqual(refusal.expectedSeqId(responseOf(409, detail)), expected, detail)
    }
    assert.strictEqual(refusal.expectedSeqId(responseOf(400, "expected 3")), undefined)
  })

  it("is about the sequence number, or about something else", () => {
    const isAbout = (status: number, detail: string) => refusal.isSeqIdConflict(responseOf(status, detail))
    for (const detail of ["seq_id 1 was used", "Sequence conflict", "bad seq"]) {
      assert.isTrue(isAbout(409, detail), detail)
    }
    for (const detail of ["the checkpoint a exists", "consequence", "seqs"]) {
      assert.isFalse(isAbout(409, detail), detail)
    }
    assert.isFalse(isAbout(400, "seq_id 1"))
  })
})
