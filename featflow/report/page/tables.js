'use strict';

// Tables: a header is a button that sorts; numbers by value, what is not known always last.
function keyOf(row, at) {
  const cell = row.cells[at];
  return cell.dataset.key ?? cell.textContent.trim();
}

function sort(table, header) {
  const at = Number(header.dataset.at), rows = [...table.tBodies[0].rows];
  const up = header.getAttribute('aria-sort') !== 'ascending', sign = up ? 1 : -1;
  const known = key => key !== '' && key !== '–';
  const keys = new Map(rows.map(row => [row, keyOf(row, at)]));
  const numeric = [...keys.values()].filter(known).every(key => !Number.isNaN(Number(key)));
  const compare = numeric
    ? (a, b) => Number(a) - Number(b)
    : new Intl.Collator('en', {numeric: true}).compare;
  rows.sort((a, b) => {
    const [x, y] = [keys.get(a), keys.get(b)];
    return known(x) && known(y) ? sign * compare(x, y) : known(y) - known(x);
  });
  for (const other of table.querySelectorAll('[aria-sort]')) other.removeAttribute('aria-sort');
  header.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll('table.sortable')) {
  for (const header of table.querySelectorAll('th[data-at]')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...header.childNodes);
    button.addEventListener('click', () => sort(table, header));
    header.append(button);
  }
}

// The list of files: every word must be in the row's target or stage.
const find = document.getElementById('find'), stage = document.getElementById('stage');
const rows = [...document.querySelectorAll('#files tbody tr')];

function filter() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of rows) {
    const text = `${row.cells[0].dataset.key} ${row.dataset.stage}`.toLowerCase();
    const hit = words.every(word => text.includes(word));
    row.hidden = !hit || (stage.value !== '' && stage.value !== row.dataset.stage);
  }
  const shown = rows.filter(row => !row.hidden).length;
  document.getElementById('found').value = shown < rows.length ? `${shown} of ${rows.length}` : '';
}
find.addEventListener('input', filter);
stage.addEventListener('change', filter);

// A page from disk may be refused the clipboard; the older way needs no permission.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}

for (const button of document.querySelectorAll('button.copy')) {
  button.addEventListener('click', async () => {
    await copy(button.dataset.copy);
    button.focus();
    button.textContent = 'copied';
    setTimeout(() => { button.textContent = 'copy'; }, 1500);
  });
}

// On paper nothing can be opened.
const opened = [];
addEventListener('beforeprint', () => {
  for (const details of document.querySelectorAll('details.printed:not([open])')) {
    details.open = true;
    opened.push(details);
  }
});
addEventListener('afterprint', () => {
  for (const details of opened.splice(0)) details.open = false;
});

// The link of the section that is being read.
const links = new Map([...document.querySelectorAll('nav a')].map(a => [a.hash.slice(1), a]));
const reading = new IntersectionObserver(entries => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    for (const link of links.values()) link.removeAttribute('aria-current');
    links.get(entry.target.id).setAttribute('aria-current', 'true');
  }
}, {rootMargin: '-15% 0px -75% 0px'});
for (const id of links.keys()) reading.observe(document.getElementById(id));
