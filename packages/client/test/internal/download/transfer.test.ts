/** Downloads that are resumed, started over, verified and given up. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import * as transfers from "../../utils/transfers.ts"

const etag = { etag: '"a"' }
const whole: transfers.Step = { text: "0123456789", headers: { ...etag, "content-length": "10" } }
const rest = (offset: number, extra: transfers.Step = {}): transfers.Step => ({
  status: 206,
  text: "0123456789".slice(offset),
  ...extra,
  headers: { ...etag, "content-range": `bytes ${offset}-9/10`, ...extra.headers }
})
const cut = (text: string): transfers.Step => ({ ...whole, text, end: "cut" })

const ranges = ({ requests }: { readonly requests: ReadonlyArray<Record<string, string>> }) =>
  requests.map(({ range }) => range)

const reasonOf = (run: Effect.Effect<unknown, { readonly _tag: string; readonly message: string }>) =>
  Effect.map(Effect.flip(run), ({ _tag, message }) => `${_tag} ${message}`)

describe("a download", () => {
  it.effect("asks for plain bytes, tells the version before the first, and how far it came", () =>
    Effect.gen(function* () {
      const { file, progress, requests, run, versions } = transfers.make([whole])
      assert.strictEqual(yield* run, 10)
      assert.strictEqual(file.text(), "0123456789")
      assert.strictEqual(requests.length, 1)
      assert.deepInclude(requests[0], { url: "https://files/1?signature=secret", "accept-encoding": "identity" })
      assert.notProperty(requests[0], "range")
      assert.notProperty(requests[0], "if-range")
      assert.deepStrictEqual(versions, [{ total: 10, validator: '"a"' }])
      assert.deepStrictEqual(progress, [
        [0, 10],
        [10, 10]
      ])
      assert.deepStrictEqual(file.calls, ["open w", "sync"])
    })
  )

  it.effect("is resumed where it was cut off or ended early, under the version that it has", () =>
    Effect.gen(function* () {
      const short: transfers.Step = { ...rest(4), text: "45" }
      const started = transfers.make([cut("0123"), short, rest(6)])
      assert.strictEqual(yield* started.run, 10)
      assert.strictEqual(started.file.text(), "0123456789")
      assert.deepStrictEqual(ranges(started), [undefined, "bytes=4-", "bytes=6-"])
      assert.deepStrictEqual(
        started.requests.map((headers) => headers["if-range"]),
        [undefined, '"a"', '"a"']
      )
      const unversioned = transfers.make([
        { text: "0123", end: "cut" },
        { ...rest(4), headers: { "content-range": "bytes 4-9/*" } }
      ])
      assert.strictEqual(yield* unversioned.run, 10)
      assert.notProperty(unversioned.requests[1], "if-range")
      assert.deepStrictEqual(unversioned.versions.at(-1), { total: undefined, validator: undefined })
    })
  )

  it.effect("keeps what is known of the version where a range does not repeat it", () =>
    Effect.gen(function* () {
      const { run, versions } = transfers.make([
        { text: "0123", headers: { "last-modified": "today", "content-length": "10" }, end: "cut" },
        { status: 206, text: "45", headers: { "content-range": "bytes 4-9/*" }, end: "cut" },
        { status: 206, text: "6789", headers: { "content-range": "bytes 6-9/10" } }
      ])
      assert.strictEqual(yield* run, 10)
      assert.deepStrictEqual(versions, Array(3).fill({ total: 10, validator: "today" }))
    })
  )

  it.effect("goes on from the bytes of an earlier run, where their version is known", () =>
    Effect.gen(function* () {
      const earlier = { total: 10, validator: '"a"' }
      const resumed = transfers.make([rest(4)], { content: "0123", earlier })
      assert.strictEqual(yield* resumed.run, 10)
      assert.deepStrictEqual([ranges(resumed), resumed.file.text()], [["bytes=4-"], "0123456789"])
      assert.strictEqual(resumed.requests[0]!["if-range"], '"a"')
      assert.deepStrictEqual(resumed.file.calls, ["open r+", "truncate 4", "sync"])
      // whether a complete file has changed is asked with its last byte
      const complete = transfers.make([rest(9)], { content: "0123456789", earlier })
      assert.strictEqual(yield* complete.run, 10)
      assert.deepStrictEqual([ranges(complete), complete.file.text()], [["bytes=9-"], "0123456789"])
      for (const options of [
        { content: "0123456789x", earlier },
        { content: "0123", earlier: { total: 10, validator: undefined } },
        { content: "0123" },
        { content: "", earlier },
        { earlier }
      ]) {
        const anew = transfers.make([whole], options)
        assert.strictEqual(yield* anew.run, 10)
        assert.deepStrictEqual([ranges(anew), anew.file.calls[0]], [[undefined], "open w"])
      }
    })
  )

  it.effect("starts over where the bytes do not continue those of the file", () =>
    Effect.gen(function* () {
      for (const second of [
        rest(4, { headers: { etag: '"b"' } }),
        rest(4, { headers: { "content-range": "bytes 3-9/10" } })
      ]) {
        const { file, run, ...seen } = transfers.make([cut("xxxx"), second, whole])
        assert.strictEqual(yield* run, 10)
        assert.deepStrictEqual([ranges(seen), file.text()], [[undefined, "bytes=4-", undefined], "0123456789"])
        assert.notProperty(seen.requests[2], "if-range")
      }
      const unsupported = transfers.make([cut("xxxx"), whole])
      assert.strictEqual(yield* unsupported.run, 10)
      assert.strictEqual(unsupported.file.text(), "0123456789")
      const changed = transfers.make([cut("xxxx"), { text: "0123456789" }])
      assert.strictEqual(yield* changed.run, 10)
      assert.deepStrictEqual([changed.file.text(), changed.requests.length], ["0123456789", 2])
      assert.deepStrictEqual(changed.versions.at(-1), { total: undefined, validator: undefined })
      const compressed = transfers.make([{ text: "xx", headers: { "content-encoding": "gzip" }, end: "cut" }, whole])
      assert.strictEqual(yield* compressed.run, 10)
      assert.deepStrictEqual([ranges(compressed), compressed.file.text()], [[undefined, undefined], "0123456789"])
    })
  )

  it.effect("that has all bytes is complete where the service has no more, and starts over where it was not", () =>
    Effect.gen(function* () {
      const earlier = { total: 10, validator: '"a"' }
      const none: transfers.Step = { status: 416 }
      const complete = transfers.make([{ ...whole, end: "cut" }, none])
      assert.strictEqual(yield* complete.run, 10)
      assert.deepStrictEqual(ranges(complete), [undefined, "bytes=10-"])
      const shorter = transfers.make([none, whole], { content: "0123", earlier })
      assert.strictEqual(yield* shorter.run, 10)
      assert.deepStrictEqual([ranges(shorter), shorter.file.text()], [["bytes=4-", undefined], "0123456789"])
    })
  )

  it.effect("is as large as it may be, and no larger", () =>
    Effect.gen(function* () {
      const text = "FileError download: model.tar would be larger than 9 bytes: set a larger maxSize if that is right"
      assert.strictEqual(yield* transfers.make([whole], { maxSize: 10 }).run, 10)
      const announced = transfers.make([whole], { maxSize: 9 })
      assert.strictEqual(yield* reasonOf(announced.run), text)
      assert.deepStrictEqual([announced.versions, announced.requests.length], [[], 1])
      const unannounced = transfers.make([{ text: "0123456789" }], { maxSize: 9 })
      assert.strictEqual(yield* reasonOf(unannounced.run), text)
      assert.strictEqual(yield* transfers.make([{ text: "0123456789" }], { maxSize: 10 }).run, 10)
    })
  )

  it.effect("fails where more bytes arrive than were announced", () =>
    Effect.gen(function* () {
      const { requests, run } = transfers.make([{ text: "0123456789", headers: { "content-length": "9" } }])
      assert.strictEqual(
        yield* reasonOf(run),
        "FileError download: model.tar is not written: 10 bytes arrived where 9 were announced. Download it again"
      )
      assert.strictEqual(requests.length, 1)
    })
  )

  it.effect("has a limit of time for the response, and between two parts of it", () =>
    Effect.gen(function* () {
      const { run, times } = transfers.make([{ ...whole, text: "0123", end: "silent" }, rest(4)])
      assert.strictEqual(yield* run, 10)
      assert.isAtLeast(times[1]!, 60_375)
      assert.isAtMost(times[1]!, 60_500)
      const silent = transfers.make([{ ...whole, text: "", end: "silent" }], { policy: { timeout: "1 seconds" } })
      const error = yield* Effect.flip(silent.run)
      assert(error._tag === "TransportError")
      assert.deepStrictEqual([error.reason, error.url, error.method], ["Timeout", "https://files/1", "download"])
      const unanswered = transfers.make([{ end: "unanswered" }, whole])
      assert.strictEqual(yield* unanswered.run, 10)
      assert.isAtLeast(unanswered.times[1]!, 60_375)
      const reasonAt = (step: transfers.Step) =>
        Effect.map(Effect.flip(transfers.make([step]).run), (error) => "reason" in error && error.reason)
      assert.strictEqual(yield* reasonAt({ end: "cut" }), "Connection")
      assert.strictEqual(yield* reasonAt({ end: "cut", code: "UND_ERR_BODY_TIMEOUT" }), "Timeout")
    })
  )
})

describe("a download that fails", () => {
  it.effect("is repeated eight times in a row, with delays that double, and says why in the end", () =>
    Effect.gen(function* () {
      const { run, times, urls } = transfers.make([{ status: 503, text: "busy" }])
      const error = yield* Effect.flip(run)
      assert.deepStrictEqual([error._tag, error.method, times.length, urls()], ["ServerError", "download", 8, 1])
      const delays = times.slice(1).map((time, i) => time - times[i]!)
      for (const [i, longest] of [500, 1000, 2000, 4000, 8000, 10_000, 10_000].entries()) {
        assert.isAtLeast(delays[i]!, longest * 0.75, `${i}`)
        assert.isAtMost(delays[i]!, longest, `${i}`)
      }
    })
  )

  it.effect("counts again from each byte that arrives, and waits as long as the service asks", () =>
    Effect.gen(function* () {
      const busy: transfers.Step = { status: 503, headers: { "retry-after": "3" } }
      const steps = [
        ...Array<transfers.Step>(7).fill(busy),
        cut("0123"),
        ...Array<transfers.Step>(6).fill(busy),
        rest(4)
      ]
      const { run, times } = transfers.make(steps)
      assert.strictEqual(yield* run, 10)
      assert.strictEqual(times.length, 15)
      assert.deepStrictEqual(
        times.slice(1, 8).map((time, i) => time - times[i]!),
        Array(7).fill(3000)
      )
    })
  )

  it.effect("gets a new URL where the old one has expired, and twice where it is rejected", () =>
    Effect.gen(function* () {
      const expired = transfers.make([cut("0123"), rest(4, { text: "45", end: "cut" }), rest(6)], {
        lifetime: 0.2
      })
      assert.strictEqual(yield* expired.run, 10)
      assert.deepStrictEqual(
        expired.requests.map(({ url }) => url.slice(14, 15)),
        ["1", "2", "3"]
      )
      const atOnce = transfers.make([whole], { lifetime: 0 })
      assert.strictEqual(yield* atOnce.run, 10)
      assert.strictEqual(atOnce.urls(), 2)
      for (const status of [400, 401, 403, 404, 410]) {
        const rejected = transfers.make([{ status }, { status }, whole])
        assert.strictEqual(yield* rejected.run, 10, `${status}`)
        assert.deepStrictEqual([rejected.urls(), rejected.requests.length], [3, 3])
        const thrice = transfers.make([{ status }, { status }, { status }, whole])
        assert.include(yield* reasonOf(thrice.run), `${status}`)
        assert.strictEqual(thrice.requests.length, 3)
      }
      const final = transfers.make([{ status: 409 }])
      assert.include(yield* reasonOf(final.run), "409")
      assert.strictEqual(final.requests.length, 1)
    })
  )

  it.effect("says that the file keeps changing, where each part is of another version", () =>
    Effect.gen(function* () {
      const { requests, run } = transfers.make([
        { status: 206, text: "x", headers: { "content-range": "bytes 5-9/10" } }
      ])
      assert.strictEqual(
        yield* reasonOf(run),
        "FileError download: model.tar is not written: the file kept changing while it was downloaded. Try again later"
      )
      assert.strictEqual(requests.length, 8)
    })
  )

  it.effect("is downloaded once more where its checksum is wrong, with those of all its parts", () =>
    Effect.gen(function* () {
      const md5 = createHash("md5").update("0123456789").digest("base64")
      const other = createHash("md5").update("other").digest("base64")
      const right: transfers.Step = { ...whole, headers: { ...whole.headers, "content-md5": md5 } }
      const damaged: transfers.Step = { ...right, text: "x123456789" }
      const again = transfers.make([damaged, right])
      assert.strictEqual(yield* again.run, 10)
      assert.deepStrictEqual([again.file.text(), ranges(again)], ["0123456789", [undefined, undefined]])
      const always = transfers.make([damaged])
      const actual = createHash("md5").update("x123456789").digest("base64")
      assert.strictEqual(
        yield* reasonOf(always.run),
        `FileError download: model.tar is not written: its md5 is ${actual}, and the server announces ${md5}. ` +
          "Download it again; if that does not help, save the checkpoint again"
      )
      assert.strictEqual(always.requests.length, 2)
      const ofPart = createHash("md5").update("456789").digest("base64")
      const part = transfers.make([cut("0123"), rest(4, { headers: { "content-md5": ofPart } })])
      assert.strictEqual(yield* part.run, 10, "that of a part is not that of the file")
      const stored = { "x-ms-blob-content-md5": other }
      const inParts = transfers.make([{ ...cut("0123"), headers: { ...whole.headers, ...stored } }, rest(4), right])
      assert.strictEqual(yield* inParts.run, 10)
      assert.strictEqual(inParts.requests.length, 3, "the checksum of the first part holds for the file")
    })
  )
})
