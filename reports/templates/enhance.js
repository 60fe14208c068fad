"use strict";
(function () {
  function key(cell) {
    var data = cell.querySelector("data");
    return data ? Number(data.getAttribute("value")) : cell.textContent.trim().toLowerCase();
  }
  function sort(table, column, button) {
    var head = button.parentElement;
    var up = head.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("th[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    var body = table.tBodies[0];
    Array.from(body.rows).map(function (row, place) { return { row: row, place: place, key: key(row.cells[column]) }; })
      .sort(function (a, b) {
        if (typeof a.key !== typeof b.key) { return typeof a.key === "number" ? -1 : 1; }
        var order = a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
        return (up ? order : -order) || a.place - b.place;
      })
      .forEach(function (entry) { body.appendChild(entry.row); });
  }
  document.querySelectorAll("table.sortable").forEach(function (table) {
    Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      while (head.firstChild) { button.appendChild(head.firstChild); }
      head.appendChild(button);
      button.addEventListener("click", function () { sort(table, column, button); });
    });
    if (table.tBodies[0].rows.length < 12) { return; }
    var field = document.createElement("input");
    field.type = "search";
    field.className = "filter";
    field.placeholder = "Filter rows";
    field.setAttribute("aria-label", "Show only rows that hold this text");
    field.addEventListener("input", function () {
      var wanted = field.value.trim().toLowerCase();
      Array.from(table.tBodies[0].rows).forEach(function (row) {
        row.hidden = wanted !== "" && row.textContent.toLowerCase().indexOf(wanted) < 0;
      });
    });
    table.parentElement.parentElement.insertBefore(field, table.parentElement);
  });
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details:not(.care)").forEach(function (part) { part.open = true; });
  });
}());
