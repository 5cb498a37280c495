"use strict";
(() => {
  const page = document.documentElement;
  const every = (selector, root = document) => [...root.querySelectorAll(selector)];
  const sections = every("[data-setting]");
  const pickers = ["setting", "task"].map((id) => document.getElementById(id)).filter((picker) => picker);
  const engines = every("button[data-pick]");
  const metrics = every("button[data-metric]");
  const state = { setting: "", engine: "", task: "", metric: "accuracy", sort: "" };

  // A sort is [table, column, direction]; what is none sorts nothing.
  const sorting = (text) => {
    try {
      const said = JSON.parse(text);
      return Array.isArray(said) && ["ascending", "descending"].includes(said[2]) ? said : [];
    } catch {
      return [];
    }
  };

  // What the address says is kept only where it is one of the choices there are.
  const known = {
    setting: (value) => sections.some((section) => section.dataset.setting === value),
    engine: (value) => sections.some((section) => section.dataset.engine === value),
    task: (value) => pickers.some((picker) => picker.id === "task" && [...picker.options].some((o) => o.value === value)),
    metric: (value) => value === "accuracy" || value === "loss",
    sort: (value) => sorting(value).length === 3,
  };
  const normal = () => ({ setting: sections[0]?.dataset.setting, engine: sections[0]?.dataset.engine, task: "", metric: "accuracy", sort: "" });

  const read = () => {
    const said = new URLSearchParams(location.hash.slice(1));
    Object.assign(state, normal());
    Object.keys(state).forEach((name) => {
      if (said.has(name) && known[name](said.get(name))) state[name] = said.get(name);
    });
  };

  const write = () => {
    const usual = normal();
    const kept = Object.entries(state).filter(([name, value]) => value !== usual[name]);
    history.replaceState(null, "", `#${new URLSearchParams(kept)}`);
  };

  const column = (head) => head.title || head.textContent.trim();

  const value = (row, place) => {
    if (place === 0) return row.dataset.model;
    const data = row.cells[place].dataset;
    const number = data.sort ?? data[state.metric];
    return number === undefined ? null : Number(number);
  };

  // Cells without a number stay last in both directions; equal ones keep the order of the ladder.
  const sort = (table) => {
    const [name, wanted, direction] = sorting(state.sort);
    const rows = [...table.tBodies[0].rows].sort((a, b) => a.dataset.order - b.dataset.order);
    let sorted = null;
    every("thead th", table).forEach((head) => {
      head.removeAttribute("aria-sort");
      if (name === table.dataset.table && column(head) === wanted) sorted = head;
    });
    if (sorted) {
      sorted.setAttribute("aria-sort", direction);
      const sign = direction === "ascending" ? 1 : -1;
      rows.sort((a, b) => {
        const [left, right] = [value(a, sorted.cellIndex), value(b, sorted.cellIndex)];
        if (left === null || right === null) return (left === null) - (right === null);
        return sign * (left < right ? -1 : left > right ? 1 : 0);
      });
    }
    table.tBodies[0].append(...rows);
  };

  // The first press puts the best on top, the second turns that round, the third gives the ladder back.
  const press = (head) => {
    const best = head.dataset.best ?? (head.cellIndex > 0 && state.metric === "accuracy" ? "descending" : "ascending");
    const worst = best === "ascending" ? "descending" : "ascending";
    const next = { [best]: worst, [worst]: null }[head.getAttribute("aria-sort")];
    const name = head.closest("table").dataset.table;
    state.sort = next === null ? "" : JSON.stringify([name, column(head), next ?? best]);
    show();
  };

  // One task alone: its column of each table, its rows, its panel.
  const filter = () => {
    every("[data-task]").forEach((part) => { part.hidden = Boolean(state.task) && part.dataset.task !== state.task; });
    every("table:has(thead th[title])").forEach((table) => {
      const heads = every("thead th", table);
      heads.forEach((head, place) => {
        const out = Boolean(state.task) && head.title !== state.task && (Boolean(head.title) || head.matches(".average"));
        [...table.rows].forEach((row) => { if (row.cells[place]) row.cells[place].hidden = out; });
      });
    });
  };

  const show = () => {
    const there = sections.filter((section) => section.dataset.setting === state.setting);
    const engine = there.find((section) => section.dataset.engine === state.engine) ?? there[0];
    sections.forEach((section) => { section.hidden = section !== engine; });
    engines.forEach((button) => {
      button.disabled = !there.some((section) => section.dataset.engine === button.dataset.pick);
      button.setAttribute("aria-pressed", String(engine?.dataset.engine === button.dataset.pick));
    });
    page.dataset.metric = state.metric;
    metrics.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.metric === state.metric)));
    pickers.forEach((picker) => { picker.value = state[picker.id]; });
    every("table.sortable").forEach(sort);
    filter();
  };

  const change = (name, chosen) => { state[name] = chosen; show(); write(); };

  every("[data-needs-script]").forEach((element) => { element.hidden = false; });
  every("table.sortable thead button").forEach((button) => {
    button.addEventListener("click", () => { press(button.closest("th")); write(); });
  });
  metrics.forEach((button) => button.addEventListener("click", () => change("metric", button.dataset.metric)));
  engines.forEach((button) => button.addEventListener("click", () => change("engine", button.dataset.pick)));
  pickers.forEach((picker) => picker.addEventListener("change", () => change(picker.id, picker.value)));
  window.addEventListener("hashchange", () => { read(); show(); });
  read();
  show();
})();
