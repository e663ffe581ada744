/** Emits flips, parts, paddings and reshapes. */
import { range, sizeOf } from "../../util/shape.ts"
import type { Graph } from "../graph.ts"
import { broadcastTo, fullView, type View } from "../view.ts"
import { contiguousView, reshapeTensor } from "./layout.ts"

/** Reverses a view along axes. @internal */
export const flip = (graph: Graph, view: View, axes: ReadonlyArray<number>): View => {
  let { tensor } = view
  for (const i of axes) {
    const axis = view.axes[i]!
    if (axis < 0) continue
    const indices = [...range(view.shape[i]!)].reverse()
    tensor = graph.node("Gather", [tensor, graph.intList(indices)], { axis })
  }
  return { ...view, tensor }
}

/** Keeps a part of some axes. @internal */
export const shrink = (
  graph: Graph,
  view: View,
  slices: ReadonlyArray<readonly [start: number, end: number]>
): View => {
  const shape = slices.map(([start, end]) => end - start)
  const cut = range(shape.length).filter((i) => view.axes[i]! >= 0 && shape[i] !== view.shape[i])
  if (cut.length === 0) return { ...view, shape }
  const axes = cut.map((i) => view.axes[i]!)
  const bounds = (end: 0 | 1) => graph.intList(cut.map((i) => slices[i]![end]))
  const sizes = new Map(cut.map((i) => [view.axes[i]!, shape[i]!]))
  return {
    ...view,
    tensor: graph.node("Slice", [view.tensor, bounds(0), bounds(1), graph.intList(axes)]),
    tensorShape: view.tensorShape.map((size, axis) => sizes.get(axis) ?? size),
    shape,
    axes: view.axes.map((axis, i) => (shape[i] === 1 ? -1 : axis))
  }
}

/** Puts zeros before and behind some axes. @internal */
export const pad = (
  graph: Graph,
  view: View,
  widths: ReadonlyArray<readonly [before: number, after: number]>
): View => {
  const shape = view.shape.map((size, i) => size + widths[i]![0] + widths[i]![1])
  const padded = range(shape.length).filter((i) => shape[i] !== view.shape[i])
  if (padded.length === 0) return view
  if (view.isZero) return broadcastTo({ ...fullView(graph.scalar(view.dtype, 0), view.dtype, []), isZero: true }, shape)
  const { tensor, tensorShape } = contiguousView(graph, view, padded)
  const pads = ([0, 1] as const).flatMap((end) => widths.map((width) => width[end]))
  const sizes = tensorShape.map((size, i) => (padded.includes(i) ? shape[i]! : size))
  return { ...fullView(graph.node("Pad", [tensor, graph.intList(pads)]), view.dtype, sizes), shape }
}

/** Axes of a shape that together become axes of another shape: both have the same number of elements. */
interface AxisGroup {
  readonly from: ReadonlyArray<number>
  readonly to: ReadonlyArray<number>
}

/** Splits a reshape into its smallest groups of axes. Axes of size 1 are in no group. */
const groupAxes = (from: ReadonlyArray<number>, to: ReadonlyArray<number>): ReadonlyArray<AxisGroup> => {
  const sources = range(from.length).filter((i) => from[i] !== 1)
  const targets = range(to.length).filter((i) => to[i] !== 1)
  const groups: Array<AxisGroup> = []
  let [i, j] = [0, 0]
  while (i < sources.length && j < targets.length) {
    const group = { from: [sources[i++]!], to: [targets[j++]!] }
    let [fromSize, toSize] = [from[group.from[0]!]!, to[group.to[0]!]!]
    while (fromSize !== toSize) {
      if (fromSize < toSize) {
        group.from.push(sources[i]!)
        fromSize *= from[sources[i++]!]!
      } else {
        group.to.push(targets[j]!)
        toSize *= to[targets[j++]!]!
      }
    }
    groups.push(group)
  }
  return groups
}

/** Whether axes of a tensor follow each other in memory; there may be axes of size 1 between them. */
const isRun = (axes: ReadonlyArray<number>, tensorShape: ReadonlyArray<number>): boolean =>
  axes.every(
    (axis, i) =>
      axis >= 0 && (i === 0 || (axis > axes[i - 1]! && sizeOf(tensorShape.slice(axes[i - 1]! + 1, axis)) === 1))
  )

/**
 * Reshapes a view. Axes that follow each other in memory are merged and split in place; where they do not, or are
 * partly broadcast, the view is copied first.
 *
 * @internal
 */
export const reshape = (graph: Graph, view: View, shape: ReadonlyArray<number>): View => {
  // what each axis of the tensor becomes
  const parts: Array<ReadonlyArray<number>> = view.tensorShape.map((size) => [size])
  const places = new Map<number, readonly [axis: number, part: number]>()
  for (const { from, to } of groupAxes(view.shape, shape)) {
    const axes = from.map((i) => view.axes[i]!)
    if (axes.every((axis) => axis < 0)) continue
    if (!isRun(axes, view.tensorShape)) return reshape(graph, contiguousView(graph, view, from), shape)
    for (const axis of axes) parts[axis] = []
    const first = axes[0]!
    parts[first] = to.map((i) => shape[i]!)
    to.forEach((i, part) => places.set(i, [first, part]))
  }
  const offsets = range(parts.length).map((axis) => parts.slice(0, axis).flat().length)
  const tensorShape = parts.flat()
  return {
    ...view,
    tensor: reshapeTensor(graph, view.tensor, view.tensorShape, tensorShape),
    tensorShape,
    shape,
    axes: shape.map((_, i) => {
      const place = places.get(i)
      return place === undefined ? -1 : offsets[place[0]]! + place[1]
    })
  }
}
