/**
 * Shows a run in a browser: the data stand in the page, or come from the address that the page names, again and again.
 * All text is set as text: nothing of a run is read as HTML.
 */
;(() => {
  "use strict"

  /** @typedef {{ step: number[], columns: Record<string, (number | null)[]> }} Table */

  const perPage = 20
  const shownSamples = 20
  const names = { loss: "train_mean_nll", bitsPerByte: "train_mean_bpb" }
  const charts = []
  let run
  let page = 0
  let smoothing = 0.6
  let range = null
  let extra = ""

  const byId = (id) => document.getElementById(id)

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name)
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "onclick" || key === "onchange" || key === "oninput") made[key] = value
      else if (value === true) made.setAttribute(key, "")
      else if (value !== undefined && value !== false) made.setAttribute(key, String(value))
    }
    made.append(...children.filter((child) => child !== undefined))
    return made
  }

  const color = (i) =>
    getComputedStyle(document.documentElement)
      .getPropertyValue(`--curve-${(i % 6) + 1}`)
      .trim()
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

  const number = (value) => {
    if (typeof value !== "number") return "–"
    if (Number.isInteger(value)) return value.toLocaleString("en")
    const size = Math.abs(value)
    return size >= 1e-5 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2)
  }

  const duration = (seconds) => {
    const whole = Math.round(seconds)
    const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
    if (whole < 60) return `${number(Math.round(seconds * 10) / 10)} s`
    return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`
  }

  const lastOf = (values) => (values ?? []).findLast((value) => value !== null && value !== undefined)
  const sumOf = (values) => (values ?? []).reduce((sum, value) => sum + (value ?? 0), 0)
  const evaluationNames = () => Object.keys(run.table.columns).filter(isEvaluation)
  const isEvaluation = (name) => name.includes("/") && !/^(time|tokens|cost)\//.test(name)

  // ---- summary

  const facts = () => {
    const { columns, step } = run.table
    // the last row may have nothing but what was measured behind the last step
    const at = columns[names.loss]?.findLastIndex((value) => value !== null) ?? -1
    const last = at < 0 ? step.at(-1) : step[at]
    const progress = at < 0 ? lastOf(columns.progress) : columns.progress?.[at]
    const steps = progress > 0 ? Math.max(last + 1, Math.round((last + 1) / progress)) : undefined
    const list = [
      ["steps", last === undefined ? "none yet" : `${number(last + 1)}${steps ? ` of ${number(steps)}` : ""}`]
    ]
    const add = (label, value) =>
      value !== undefined && list.push([label, typeof value === "number" ? number(value) : value])
    add("loss", lastOf(columns[names.loss]))
    for (const name of evaluationNames().slice(0, 3)) add(name, lastOf(columns[name]))
    add("tokens", run.tokens > 0 ? run.tokens : undefined)
    add("time", run.seconds > 0 ? duration(run.seconds) : undefined)
    add("cost", columns["cost/cumulative_usd"] && `$${number(lastOf(columns["cost/cumulative_usd"]))}`)
    return list
  }

  const showSummary = () => {
    document.title = run.name
    byId("name").textContent = run.name
    byId("facts").replaceChildren(
      ...facts().map(([label, value]) => element("div", {}, element("dt", {}, label), element("dd", {}, value)))
    )
    const notes = [...run.notes]
    if (run.every > 1) notes.push(`one row in ${run.every} is shown, and every evaluation`)
    byId("notes").replaceChildren(...notes.map((note) => element("p", { class: "dim" }, note)))
  }

  // ---- curves

  /** Exponential moving average that starts without bias. */
  const smooth = (values, weight) => {
    let [sum, norm] = [0, 0]
    return values.map((value) => {
      if (value === null || value === undefined) return null
      sum = sum * weight + value * (1 - weight)
      norm = norm * weight + (1 - weight)
      return sum / norm
    })
  }

  const perSecond = () => {
    const { num_tokens: tokens, "time/total": seconds } = run.table.columns
    return tokens && seconds ? tokens.map((count, i) => (seconds[i] > 0 ? (count ?? 0) / seconds[i] : null)) : undefined
  }

  const lossChart = () => {
    const loss = run.table.columns[names.loss]
    const evaluated = evaluationNames().filter((name) => name.endsWith("/nll"))
    const series = []
    if (loss)
      series.push(
        { label: "each step", values: loss, faint: true },
        { label: "smoothed", values: smooth(loss, smoothing) }
      )
    for (const name of evaluated) series.push({ label: name, values: run.table.columns[name], points: true })
    return { title: "loss per token (nats)", series }
  }

  const chartsOf = () => {
    const { columns } = run.table
    const list = [lossChart()]
    const single = (name, title = name) =>
      columns[name] && list.push({ title, series: [{ label: title, values: columns[name] }] })
    if (columns[names.bitsPerByte]) single(names.bitsPerByte, "bits per byte")
    for (const name of evaluationNames().filter((name) => !name.endsWith("/nll"))) {
      list.push({ title: name, series: [{ label: name, values: columns[name], points: true }] })
    }
    single("learning_rate", "learning rate")
    const speed = perSecond()
    if (speed) list.push({ title: "tokens per second", series: [{ label: "tokens/s", values: speed }] })
    if (extra !== "") single(extra)
    return list.filter(({ series }) => series.some(({ values }) => values.some((value) => typeof value === "number")))
  }

  const uplotSeries = ({ faint, label, points, values }, i) => ({
    label,
    stroke: faint ? `color-mix(in srgb, ${color(i)} 35%, transparent)` : color(i),
    width: faint ? 1 : 2,
    spanGaps: true,
    points: points || values.length < 3 ? { show: true, size: 7, fill: color(i) } : { show: false },
    value: (_, value) => number(value)
  })

  const axis = (values) => ({
    stroke: ink("--dim"),
    grid: { stroke: ink("--line"), width: 1 },
    ticks: { stroke: ink("--line"), width: 1 },
    font: "12px system-ui, sans-serif",
    ...values
  })

  const drawChart = ({ box, series }) => {
    const width = Math.max(200, box.clientWidth - 24)
    const plot = new uPlot(
      {
        width,
        height: Math.round(Math.min(300, Math.max(200, width * 0.55))),
        cursor: { sync: { key: "run" }, drag: { x: true, y: false } },
        scales: { x: { time: false } },
        axes: [axis({}), axis({ size: 62, values: (_, ticks) => ticks.map(tick) })],
        series: [{ label: "step", value: (_, value) => number(value) }, ...series.map(uplotSeries)],
        hooks: {
          setSelect: [(self) => zoomTo(self)],
          ready: [(self) => self.over.addEventListener("dblclick", () => zoom(null))]
        }
      },
      [run.table.step.map((step) => step + 1), ...series.map(({ values }) => values)],
      box
    )
    charts.push(plot)
  }

  const tick = (value) =>
    value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5) ? value.toExponential(1) : String(value)

  const zoomTo = (plot) => {
    if (plot.select.width < 3) return
    zoom([plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x")])
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false)
  }

  /** Shows a range of steps in every chart; all of them for `null`. */
  const zoom = (to) => {
    range = to
    const steps = run.table.step
    const [min, max] = to ?? [steps[0] + 1, steps.at(-1) + 1]
    for (const plot of charts) plot.setScale("x", { min, max })
    byId("reset").disabled = to === null
  }

  const zoomToEnd = (share) => {
    const steps = run.table.step
    const [first, last] = [steps[0] + 1, steps.at(-1) + 1]
    zoom([last - (last - first) * share, last])
  }

  /** All panels first: their width depends on how many there are. */
  const drawCharts = (list) => {
    const drawn = list.map(({ series, title }) => ({
      series,
      box: element("div", { class: "panel chart" }, element("h3", {}, title))
    }))
    byId("charts").append(...drawn.map(({ box }) => box))
    drawn.forEach(drawChart)
  }

  const showCharts = () => {
    for (const plot of charts.splice(0)) plot.destroy()
    byId("charts").replaceChildren()
    const list = chartsOf()
    if (list.length === 0) byId("charts").append(element("p", { class: "dim" }, "There are no steps yet."))
    else drawCharts(list)
    if (range !== null && charts.length > 0) zoom(range)
  }

  const chartControls = () => {
    const rest = Object.keys(run.table.columns).filter((name) => !["progress", "epoch"].includes(name))
    return [
      element(
        "label",
        {},
        "smoothing ",
        element("input", {
          type: "range",
          min: 0,
          max: 0.98,
          step: 0.02,
          value: smoothing,
          oninput: (event) => ((smoothing = Number(event.target.value)), showCharts())
        })
      ),
      element("button", { onclick: () => zoomToEnd(0.5) }, "last half"),
      element("button", { onclick: () => zoomToEnd(0.1) }, "last tenth"),
      element("button", { id: "reset", disabled: range === null, onclick: () => zoom(null) }, "all steps"),
      element(
        "label",
        {},
        "also show ",
        select(["", ...rest], extra, (name) => ((extra = name), showCharts()))
      )
    ]
  }

  const select = (values, chosen, onChange) =>
    element(
      "select",
      { onchange: (event) => onChange(event.target.value) },
      ...values.map((value) =>
        element("option", { value, selected: value === chosen }, value === "" ? "nothing" : value)
      )
    )

  // ---- steps

  const stepColumns = () => {
    const { columns } = run.table
    const first = [
      names.loss,
      ...evaluationNames(),
      "learning_rate",
      "num_tokens",
      "num_loss_tokens",
      "grad_norm",
      "time/total"
    ]
    return [...new Set(first)].filter((name) => columns[name])
  }

  const showSteps = () => {
    const { columns, step } = run.table
    const pages = Math.max(1, Math.ceil(step.length / perPage))
    page = Math.min(page, pages - 1)
    const shown = stepColumns()
    const from = page * perPage
    const rows = step
      .slice(from, from + perPage)
      .map((at, i) =>
        element(
          "tr",
          {},
          element("td", { class: "number" }, number(at + 1)),
          ...shown.map((name) => element("td", { class: "number" }, number(columns[name][from + i])))
        )
      )
    const head = element(
      "tr",
      {},
      ...["step", ...shown].map((name) => element("th", { class: "number" }, name === names.loss ? "loss" : name))
    )
    byId("steps").replaceChildren(
      element(
        "div",
        { class: "controls" },
        element("button", { disabled: page === 0, onclick: () => (page--, showSteps()) }, "earlier"),
        element("span", {}, `page ${page + 1} of ${pages}`),
        element("button", { disabled: page >= pages - 1, onclick: () => (page++, showSteps()) }, "later"),
        element("button", { disabled: page >= pages - 1, onclick: () => ((page = pages - 1), showSteps()) }, "last")
      ),
      element(
        "div",
        { class: "scroll" },
        element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows))
      )
    )
  }

  // ---- samples, timings, tables

  const sampleOf = ({ prompt, step, text, ...rest }) =>
    element(
      "div",
      { class: "sample panel" },
      element(
        "div",
        { class: "dim" },
        `after step ${number(step)}${Object.entries(rest)
          .map(([key, value]) => ` · ${key} ${typeof value === "number" ? number(value) : value}`)
          .join("")}`
      ),
      prompt === undefined ? undefined : element("pre", {}, prompt),
      element("p", { class: "dim" }, "answer"),
      element("pre", {}, text)
    )

  const showSamples = () => {
    const steps = [...new Set(run.samples.map(({ step }) => step))]
    const list = element("div", {})
    const show = (step) =>
      list.replaceChildren(
        ...run.samples
          .filter((sample) => step === "" || String(sample.step) === step)
          .slice(-shownSamples)
          .map(sampleOf)
      )
    show(String(steps.at(-1)))
    byId("samples").replaceChildren(
      element(
        "div",
        { class: "controls" },
        element("label", {}, "after step ", select(steps.map(String), String(steps.at(-1)), show))
      ),
      list
    )
  }

  const gantt = ({ spans, step }) => {
    const start = Math.min(...spans.map(({ wall_start }) => wall_start))
    const whole = Math.max(...spans.map(({ wall_end }) => wall_end)) - start || 1
    const all = [...new Set(spans.map(({ name }) => name))]
    const bar = ({ duration: seconds, name, wall_start }) =>
      element("div", {
        class: "gantt-bar",
        style: `left:${((wall_start - start) / whole) * 100}%;width:${(seconds / whole) * 100}%;background:${color(all.indexOf(name))}`,
        title: `${name}: ${duration(seconds)}, from ${duration(wall_start - start)}`
      })
    return element(
      "div",
      {},
      ...all.map((name) => {
        const own = spans.filter((span) => span.name === name)
        const label = `${name} · ${duration(sumOf(own.map((span) => span.duration)))}`
        return element(
          "div",
          { class: "gantt-row" },
          element("span", { title: label }, label),
          element("div", { class: "gantt-track" }, ...own.map(bar))
        )
      }),
      element("p", { class: "dim" }, `step ${number(step + 1)}, ${duration(whole)} in all`)
    )
  }

  const showTimings = () => {
    const list = element("div", { class: "panel" })
    const show = (step) => list.replaceChildren(gantt(run.timings.find((timing) => String(timing.step + 1) === step)))
    const steps = run.timings.map(({ step }) => String(step + 1))
    show(steps.at(-1))
    byId("timings").replaceChildren(
      element("div", { class: "controls" }, element("label", {}, "step ", select(steps, steps.at(-1), show))),
      list
    )
  }

  /** A value of JSON as rows of a table; lists of objects with the same keys as a table of their own. */
  const valueOf = (value) => {
    if (
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((item) => item !== null && typeof item === "object" && !Array.isArray(item))
    ) {
      const keys = [...new Set(value.flatMap((item) => Object.keys(item)))]
      return element(
        "div",
        { class: "scroll" },
        element(
          "table",
          {},
          element(
            "thead",
            {},
            element(
              "tr",
              {},
              ...keys.map((key) =>
                element("th", { class: value.some((item) => typeof item[key] === "number") ? "number" : "text" }, key)
              )
            )
          ),
          element(
            "tbody",
            {},
            ...value
              .slice(0, 200)
              .map((item) =>
                element(
                  "tr",
                  {},
                  ...keys.map((key) =>
                    element("td", { class: typeof item[key] === "number" ? "number" : "text" }, valueOf(item[key]))
                  )
                )
              )
          )
        )
      )
    }
    if (Array.isArray(value))
      return value
        .map((item) => (item !== null && typeof item === "object" ? JSON.stringify(item) : String(item)))
        .join(", ")
    if (value !== null && typeof value === "object") return tableOf(value)
    return typeof value === "number" ? number(value) : value === undefined ? "" : String(value)
  }

  const tableOf = (values) =>
    element(
      "div",
      { class: "scroll" },
      element(
        "table",
        {},
        element(
          "tbody",
          {},
          ...Object.entries(values).map(([key, value]) =>
            element("tr", {}, element("th", {}, key), element("td", { class: "text" }, valueOf(value)))
          )
        )
      )
    )

  const plain = (values) =>
    element(
      "dl",
      { class: "facts" },
      ...values.map(([label, value]) =>
        element(
          "div",
          {},
          element("dt", {}, label),
          element("dd", {}, typeof value === "number" ? number(value) : String(value))
        )
      )
    )

  /** The facts of a `data.json` as `DataReport` makes it. */
  const dataFacts = ({ examples, heldOut, lengths, overlap, training, files }) => {
    const share = lengths && lengths.tokens > 0 ? ` (${Math.round((lengths.trained / lengths.tokens) * 100)} %)` : ""
    return [
      ["training records", training],
      ["held out", heldOut],
      ["left out: same as held out", overlap],
      ["duplicates", sumOf(files.map(({ duplicates }) => duplicates))],
      ["not valid, left out", sumOf(files.map(({ bad }) => bad))],
      ...(examples
        ? [
            ["truncated", examples.truncated],
            ["too long, skipped", examples.skipped],
            ["nothing to train", examples.untrained],
            ["emptied by truncation", examples.emptied]
          ]
        : []),
      ...(lengths
        ? [
            ["datums", lengths.datums],
            ["tokens", lengths.tokens],
            ["tokens trained", `${number(lengths.trained)}${share}`],
            ["sum of weights", lengths.weight],
            ["tokens of a datum", `${number(lengths.min)} to ${number(lengths.max)}`],
            ["median, 95 % below", `${number(lengths.median)}, ${number(lengths.p95)}`]
          ]
        : [])
    ]
  }

  let histogram

  /** Bars: how many datums have up to so many tokens. */
  const drawHistogram = (bars) => {
    histogram?.destroy()
    const box = byId("histogram")
    const width = Math.max(200, box.clientWidth - 24)
    histogram = new uPlot(
      {
        width,
        height: 200,
        cursor: { drag: { x: false, y: false } },
        scales: { x: { time: false, range: [-0.7, bars.length - 0.3] }, y: { range: (_, __, max) => [0, max * 1.1] } },
        axes: [
          axis({
            splits: bars.map((_, i) => i).filter((i) => i % Math.ceil((bars.length * 52) / width) === 0),
            values: (_, at) => at.map((i) => `≤ ${bars[i].upTo}`)
          }),
          axis({ size: 62 })
        ],
        series: [
          { label: "tokens", value: (_, i) => (bars[i] ? `up to ${number(bars[i].upTo)}` : "–") },
          {
            label: "datums",
            stroke: color(0),
            fill: `color-mix(in srgb, ${color(0)} 45%, transparent)`,
            paths: uPlot.paths.bars({ size: [0.8, 60] }),
            points: { show: false },
            value: (_, value) => number(value)
          }
        ]
      },
      [bars.map((_, i) => i), bars.map(({ datums }) => datums)],
      box
    )
  }

  /** A file as a row of short texts and numbers. */
  const fileRow = ({ errors, formats, ...rest }) => ({
    ...rest,
    formats: Object.entries(formats ?? {})
      .map(([name, count]) => `${number(count)} ${name}`)
      .join(", "),
    ...(errors?.length > 0 ? { errors: errors.join("; ") } : {})
  })

  const isDataReport = (data) => data !== null && Array.isArray(data.files) && typeof data.training === "number"

  const showData = () => {
    const { data } = run
    if (!isDataReport(data)) return byId("data").replaceChildren(valueOf(data))
    const bars = data.lengths?.histogram ?? []
    byId("data").replaceChildren(
      plain(dataFacts(data)),
      ...(bars.length === 0
        ? []
        : [element("div", { class: "panel chart", id: "histogram" }, element("h3", {}, "lengths of datums (tokens)"))]),
      element("h3", {}, "files"),
      valueOf(data.files.map(fileRow))
    )
    if (bars.length > 0) drawHistogram(bars)
  }

  const sections = {
    curves: {
      title: "Curves",
      has: () => true,
      show: () => {
        byId("controls").replaceChildren(...chartControls())
        showCharts()
      }
    },
    steps: { title: "Steps", has: () => run.table.step.length > 0, show: showSteps },
    samples: { title: "Samples", has: () => run.samples.length > 0, show: showSamples },
    timings: { title: "Timings", has: () => run.timings.length > 0, show: showTimings },
    data: { title: "Data", has: () => run.data !== null, show: showData },
    checkpoints: {
      title: "Checkpoints",
      has: () => run.checkpoints.length > 0,
      show: () => byId("checkpoints").replaceChildren(valueOf(run.checkpoints))
    },
    configuration: {
      title: "Configuration",
      has: () => run.config !== null,
      show: () => byId("configuration").replaceChildren(valueOf(run.config))
    }
  }

  const show = (data) => {
    run = data
    showSummary()
    const shown = Object.entries(sections).filter(([, { has }]) => has())
    byId("nav").replaceChildren(...shown.map(([id, { title }]) => element("a", { href: `#section-${id}` }, title)))
    for (const [id, { has }] of Object.entries(sections)) byId(`section-${id}`).hidden = !has()
    for (const [, section] of shown) section.show()
  }

  // ---- live

  const state = (text, kind = "") => {
    byId("state").textContent = text
    byId("state").dataset.kind = kind
  }

  const isBusy = () => document.activeElement !== null && ["SELECT", "INPUT"].includes(document.activeElement.tagName)

  /** Asks for the data every second or two, and draws again when they have changed and nobody is choosing something. */
  const follow = async (address) => {
    let tag = ""
    for (;;) {
      try {
        const response = await fetch(address, { headers: tag === "" ? {} : { "if-none-match": tag } })
        if (response.status === 200) {
          const data = await response.json()
          if (!isBusy()) {
            tag = response.headers.get("etag") ?? ""
            show(data)
          }
        } else if (response.status !== 304) throw new Error(`status ${response.status}`)
        state(`live: asked at ${new Date().toLocaleTimeString()}`)
      } catch (error) {
        state(`no response from tinker watch (${error.message}): what stands here may be old`, "bad")
      }
      await new Promise((resolve) => setTimeout(resolve, 1500))
    }
  }

  const redraw = () => {
    if (run === undefined) return
    showCharts()
    if (run.data !== null) showData()
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw)
  let width = window.innerWidth
  window.addEventListener("resize", () => {
    if (window.innerWidth !== width) redraw()
    width = window.innerWidth
  })

  const { source } = document.body.dataset
  if (source === undefined) show(JSON.parse(byId("run").textContent))
  else void follow(source)
})()
