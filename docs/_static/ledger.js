// The ledger: the table under "Every claim" gets a search field, a choice for each column of few words, and headings that sort.
"use strict";

const FEW_WORDS = 9;

function textOf(row, column) {
  return row.cells[column].textContent.trim();
}

// "no: first in 2 of 4 cases" is the word "no"
function wordOf(row, column) {
  return textOf(row, column).split(":")[0];
}

function sortBy(body, column, descending) {
  const number = (row) => parseFloat(textOf(row, column).replace("–", ""));
  const rows = [...body.rows];
  const numbers = rows.map(number).filter((value) => !Number.isNaN(value));
  const numeric = numbers.length > rows.length / 2;
  rows.sort((one, other) => {
    if (!numeric) return textOf(one, column).localeCompare(textOf(other, column));
    const [a, b] = [number(one), number(other)];
    return (Number.isNaN(a) ? -Infinity : a) - (Number.isNaN(b) ? -Infinity : b);
  });
  if (descending) rows.reverse();
  body.append(...rows);
}

function enhance(table) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const controls = document.createElement("div");
  controls.className = "ledger-controls";
  const search = Object.assign(document.createElement("input"), { type: "search", placeholder: "filter by text" });
  search.setAttribute("aria-label", "filter by text");
  const count = document.createElement("output");
  const choices = [];
  controls.append(search);

  headings.forEach((heading, column) => {
    const words = [...new Set(rows.map((row) => wordOf(row, column)))].filter(Boolean).sort();
    if (words.length >= 2 && words.length <= FEW_WORDS && !rows[0].cells[column].querySelector("a")) {
      const label = document.createElement("label");
      const choice = document.createElement("select");
      choice.name = heading.textContent.trim();
      choice.append(new Option("all", ""), ...words.map((word) => new Option(word, word)));
      label.append(`${choice.name} `, choice);
      controls.append(label);
      choices.push([column, choice]);
    }
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sortBy(body, column, descending);
    });
  });

  function filter() {
    const sought = search.value.toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const matches =
        row.textContent.toLowerCase().includes(sought) &&
        choices.every(([column, choice]) => !choice.value || wordOf(row, column) === choice.value);
      row.hidden = !matches;
      shown += matches;
    }
    count.textContent = `${shown} of ${rows.length} claims`;
  }

  controls.append(count);
  controls.addEventListener("input", filter);
  (table.closest(".pst-scrollable-table-container") || table).before(controls);
  table.classList.add("ledger");
  filter();
}

document.addEventListener("DOMContentLoaded", () => {
  const table = document.querySelector("section#every-claim table");
  if (table) enhance(table);
});
