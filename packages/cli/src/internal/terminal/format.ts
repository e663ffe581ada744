/** Sizes, times and flags as the Python command formats them. */
import * as DateTime from "effect/DateTime"

/** A size in units of 1024 bytes. @internal */
export const size = (bytes: number): string => {
  if (bytes < 0) return "N/A"
  let rest = bytes
  for (const unit of ["B", "KB", "MB", "GB", "TB", "PB"]) {
    if (rest < 1024) return unit === "B" ? `${Math.trunc(rest)} B` : `${rest.toFixed(1)} ${unit}`
    rest /= 1024
  }
  return `${rest.toFixed(1)} EB`
}

const plural = (count: number, unit: string) => `${count} ${unit}${count > 1 ? "s" : ""}`

const day = 86_400

/** A time relative to now, such as `2 days ago` or `in 5 hours`; the date if it is more than a month away. @internal */
export const relative = (time: DateTime.Utc | undefined, now: number): string => {
  if (time === undefined) return "N/A"
  const millis = DateTime.toEpochMillis(time)
  const future = millis > now
  const seconds = Math.floor(Math.abs(now - millis) / 1000)
  const days = Math.floor(seconds / day)
  if (days > 30) return DateTime.formatIsoDateUtc(time)
  const withDirection = (text: string) => (future ? `in ${text}` : `${text} ago`)
  if (days > 7) return withDirection(plural(Math.floor(days / 7), "week"))
  if (days > 0) return withDirection(plural(days, "day"))
  if (seconds > 3600) return withDirection(plural(Math.floor(seconds / 3600), "hour"))
  if (seconds > 60) return withDirection(plural(Math.floor(seconds / 60), "minute"))
  return future ? "in less than a minute" : "just now"
}

/** @internal */
export const bool = (value: boolean | undefined): string => (value === undefined ? "N/A" : value ? "Yes" : "No")

/** A time as Python's `str()` writes it: `2026-05-27 20:00:00+00:00`. @internal */
export const pythonTime = (time: DateTime.Utc): string => {
  const [date, clock] = DateTime.formatIso(time).slice(0, -1).split("T") as [string, string]
  const [whole, fraction = "000"] = clock.split(".") as [string, string?]
  return `${date} ${whole}${fraction === "000" ? "" : `.${fraction}000`}+00:00`
}

/** Whether a run trains a LoRA adapter, and its rank. @internal */
export const lora = (run: {
  readonly is_lora?: boolean | undefined
  readonly lora_rank?: number | undefined
}): string => (run.is_lora && run.lora_rank ? `Yes (Rank ${run.lora_rank})` : bool(run.is_lora))
