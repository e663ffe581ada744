/** Which hosts `NO_PROXY` names, and which are this computer. */

/** A host as a URL has it, in lower case and without brackets, and its port. @internal */
export interface Host {
  readonly name: string
  readonly port: number
}

/** @internal */
export const hostOf = ({ hostname, port, protocol }: URL): Host => ({
  name: hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, ""),
  port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port)
})

/** The 32 bits of an IPv4 address; undefined for anything else. */
const ipv4 = (text: string): number | undefined => {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number)
  if (parts === undefined || parts.some((part) => part > 255)) return undefined
  return parts.reduce((bits, part) => bits * 256 + part, 0)
}

/** Whether an address is in a block such as `10.0.0.0/8`. */
const isInBlock = (name: string, block: string): boolean => {
  const [, base = "", prefix = ""] = /^([\d.]+)\/(\d{1,2})$/.exec(block) ?? []
  const [first, address] = [ipv4(base), ipv4(name)]
  if (first === undefined || address === undefined || Number(prefix) > 32) return false
  const size = 2 ** (32 - Number(prefix))
  return Math.floor(first / size) === Math.floor(address / size)
}

/** Whether a host is this computer. @internal */
export const isLoopback = (name: string): boolean =>
  name === "localhost" ||
  name.endsWith(".localhost") ||
  ["::1", "::", "0.0.0.0"].includes(name) ||
  // 127.0.0.0/8 in IPv6, as URLs write it
  /^::ffff:7f[\da-f]{2}:[\da-f]{1,4}$/.test(name) ||
  isInBlock(name, "127.0.0.0/8")

const isNamed = ({ name, port }: Host, entry: string): boolean => {
  if (entry === "*") return true
  // a bare IPv6 address has colons, and no port
  const [, bracketed, plain, entryPort] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(entry) ?? []
  if (entryPort !== undefined && Number(entryPort) !== port) return false
  const host = (bracketed ?? plain ?? entry).replace(/^\*?\./, "").replace(/\.$/, "")
  return host !== "" && (name === host || name.endsWith(`.${host}`) || isInBlock(name, host))
}

/**
 * The entries of `NO_PROXY`, separated by commas or spaces: `*`; a host, which includes its subdomains, also as `.host` or
 * `*.host`; an address; a block of IPv4 addresses, such as `10.0.0.0/8`. A port may follow.
 *
 * @internal
 */
export const entriesOf = (text: string): ReadonlyArray<string> =>
  text
    .toLowerCase()
    .split(/[,\s]+/)
    .filter((entry) => entry !== "")

/** @internal */
export const isExcluded = (entries: ReadonlyArray<string>, host: Host): boolean =>
  entries.some((entry) => isNamed(host, entry))
