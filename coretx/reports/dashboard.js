"use strict";
(() => {
  const page = document.documentElement;
  const metrics = [...document.querySelectorAll("button[data-metric]")];
  const picker = document.getElementById("configuration");

  const value = (row, column) => {
    const cell = row.cells[column];
    if (column === 0) return row.dataset.model;
    const number = cell.dataset[page.dataset.metric];
    return number === undefined ? null : Number(number);
  };

  // Cells without a number stay last in both directions; equal ones keep the order of the ladder.
  const sort = (table) => {
    const head = table.querySelector("th[aria-sort]");
    const rows = [...table.tBodies[0].rows].sort((a, b) => a.dataset.order - b.dataset.order);
    if (head) {
      const sign = head.getAttribute("aria-sort") === "ascending" ? 1 : -1;
      rows.sort((a, b) => {
        const [left, right] = [value(a, head.cellIndex), value(b, head.cellIndex)];
        if (left === null || right === null) return (left === null) - (right === null);
        return sign * (left < right ? -1 : left > right ? 1 : 0);
      });
    }
    table.tBodies[0].append(...rows);
  };

  // The first press puts the best on top, the second turns that round, the third gives the ladder back.
  const press = (head) => {
    const best = head.cellIndex > 0 && page.dataset.metric === "accuracy" ? "descending" : "ascending";
    const worst = best === "ascending" ? "descending" : "ascending";
    const next = { [best]: worst, [worst]: null }[head.getAttribute("aria-sort")];
    head.closest("tr").querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    if (next !== null) head.setAttribute("aria-sort", next ?? best);
    sort(head.closest("table"));
  };

  const show = (metric) => {
    page.dataset.metric = metric;
    metrics.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.metric === metric)));
    document.querySelectorAll("table.scores").forEach(sort);
  };

  const pick = () => {
    document.querySelectorAll("section.configuration").forEach((section) => {
      section.hidden = section.id !== picker.value;
    });
  };

  document.querySelectorAll("[data-needs-script]").forEach((element) => { element.hidden = false; });
  document.querySelectorAll("table.scores thead button").forEach((button) => {
    button.addEventListener("click", () => press(button.closest("th")));
  });
  metrics.forEach((button) => button.addEventListener("click", () => show(button.dataset.metric)));
  show("accuracy");
  if (picker) {
    picker.addEventListener("change", pick);
    pick();
  }
})();
