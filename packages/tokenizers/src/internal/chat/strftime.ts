/** Python's `strftime`, which chat templates call to print the date. */

const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
const months = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December"
]

const twoDigits = (n: number) => String(n).padStart(2, "0")

const fields: { readonly [directive: string]: (date: Date) => string } = {
  a: (date) => days[date.getDay()]!.slice(0, 3),
  A: (date) => days[date.getDay()]!,
  b: (date) => months[date.getMonth()]!.slice(0, 3),
  B: (date) => months[date.getMonth()]!,
  d: (date) => twoDigits(date.getDate()),
  e: (date) => String(date.getDate()).padStart(2, " "),
  F: (date) => strftime(date, "%Y-%m-%d"),
  H: (date) => twoDigits(date.getHours()),
  I: (date) => twoDigits(date.getHours() % 12 || 12),
  j: (date) =>
    String(
      (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 0)) / 86_400_000
    ).padStart(3, "0"),
  m: (date) => twoDigits(date.getMonth() + 1),
  M: (date) => twoDigits(date.getMinutes()),
  p: (date) => (date.getHours() < 12 ? "AM" : "PM"),
  S: (date) => twoDigits(date.getSeconds()),
  T: (date) => strftime(date, "%H:%M:%S"),
  y: (date) => twoDigits(date.getFullYear() % 100),
  Y: (date) => String(date.getFullYear()),
  "%": () => "%"
}

/**
 * Formats a date in English and local time. Unknown directives are kept; `-` after the `%` removes the padding.
 *
 * @internal
 */
export const strftime = (date: Date, format: string): string =>
  format.replace(/%(-?)([A-Za-z%])/g, (directive, minus: string, name: string) => {
    const text = fields[name]?.(date)
    return text === undefined ? directive : minus === "-" ? text.replace(/^[0 ]+(?=.)/, "") : text
  })
