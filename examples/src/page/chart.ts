/** The curve of the loss, as one path in an SVG. */

const width = 600
const height = 200
const margin = { top: 12, right: 12, bottom: 24, left: 40 }

const element = (name: string, attributes: { readonly [name: string]: string | number }, text = ""): SVGElement => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value))
  made.textContent = text
  return made
}

const x = (step: number, steps: number) =>
  margin.left + (step / Math.max(1, steps - 1)) * (width - margin.left - margin.right)
const y = (loss: number, most: number) => margin.top + (1 - loss / most) * (height - margin.top - margin.bottom)

/** Even values from 0 to above the largest loss. */
const ticksOf = (most: number): ReadonlyArray<number> => {
  const step = most > 4 ? 2 : most > 2 ? 1 : most > 1 ? 0.5 : 0.25
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step)
}

/** Draws the losses of the steps so far. */
export const draw = (svg: SVGSVGElement, losses: ReadonlyArray<number>, steps: number): void => {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`)
  const most = Math.max(0.5, ...losses) * 1.05
  const parts: Array<SVGElement> = []
  for (const tick of ticksOf(most)) {
    const at = y(tick, most)
    parts.push(element("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: at, y2: at }))
    parts.push(element("text", { x: margin.left - 8, y: at + 4, "text-anchor": "end" }, String(tick)))
  }
  parts.push(element("text", { x: margin.left, y: height - 4 }, "step 1"))
  parts.push(element("text", { x: width - margin.right, y: height - 4, "text-anchor": "end" }, `step ${steps}`))
  const points = losses.map((loss, i) => `${x(i, steps).toFixed(1)},${y(loss, most).toFixed(1)}`)
  if (points.length > 0) parts.push(element("polyline", { class: "curve", points: points.join(" ") }))
  svg.replaceChildren(...parts)
}
