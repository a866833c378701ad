'use strict';

// The flow's numbers as tables: all that the drawing says, and what it has no room for.
function plainTable(caption, columns, rows, note = null) {
  return el('div', {class: 'table', role: 'region', 'aria-label': caption, tabindex: 0},
    el('table', {}, el('caption', {}, caption),
      el('thead', {}, el('tr', {}, columns.map(([name, isText]) =>
        el('th', {scope: 'col', class: isText ? 'text' : null}, name)))),
      el('tbody', {}, rows.map(row => el('tr', {}, row.map((cell, at) =>
        el(at === 0 ? 'th' : 'td', {scope: at === 0 ? 'row' : null,
          class: columns[at][1] ? 'text' : null}, cell)))))),
    note ? el('p', {class: 'note'}, note) : null);
}

function shareBar(share, ceiling, floor) {
  if (missing(share)) return null;
  const marks = [['ceiling', ceiling], ['floor', floor]].filter(([, value]) => !missing(value));
  return el('span', {class: 'bar', 'aria-hidden': 'true', vars: {'--share': share}},
    marks.map(([kind, value]) => el('i', {class: kind, vars: {'--at': Math.min(value, 1)}})));
}

// Columns of which no edge has a value are left out: ceilings and floors need controls.
function edgeTable(sae, rows) {
  const has = key => rows.some(row => !missing(row[key]));
  const link = (row, role, fate, count) =>
    el('a', {href: listOf(sae, row, role, fate)}, whole(count));
  const columns = [
    ['edge', row => `${row.parent} → ${row.child}`],
    ['living', row => whole(row.parent_features)],
    ['persist', row => link(row, 'parent', 'persisting', row.persisting)],
    ['disappear', row => link(row, 'parent', 'disappearing', row.disappearing)],
    ['share', row => [shareBar(row.share, row.ceiling, row.floor), percent(row.share, 1)]],
    has('low') && ['95 % interval', intervalOf],
    has('ceiling') && ['ceiling', row => percent(row.ceiling, 1)],
    has('floor') && ['floor', row => percent(row.floor, 1)],
    rows.some(hasOtherFloor) && ['unrelated floor', row => percent(row.floor_unrelated, 1)],
    ['child’s living', row => whole(row.child_features)],
    ['traced', row => link(row, 'child', 'persisting', row.traced)],
    ['emerge', row => link(row, 'child', 'emerging', row.emerging)],
    ['mutual', row => whole(row.mutual)],
    ['one to one', row => whole(row.one_to_one)],
  ].filter(Boolean);
  const note = ['Every number of features is a link to them. Traced: the child’s features with a ' +
    'partner in any parent.',
  has('ceiling') && 'The ceiling, drawn as a mark on the bar, is what a second seed of the same ' +
    'SAE finds again.',
  has('floor') && 'The floor, dotted, is what a model shares that is unrelated or random.',
  ].filter(Boolean).join(' ');
  const doubts = [...new Set(rows.flatMap(row => row.remarks?.split('; ') ?? []))];
  const remarks = doubts.length ? el('ul', {class: 'doubts'}, doubts.map(one => el('li', {}, one)))
    : null;
  const table = plainTable('The edges', columns.map(([name], at) => [name, at === 0]),
    rows.map(row => columns.map(([, cell]) => cell(row))), note);
  return [remarks, table];
}

// An unrelated floor that is not the one of the table, which is of one kind for all edges.
const hasOtherFloor = row => !missing(row.floor_unrelated) &&
  !String(row.floor_of ?? '').startsWith('unrelated');

const OVER = {seeds: 'seeds of both ends', documents: 'documents',
  'seeds+documents': 'seeds of both ends, documents'};

function intervalOf({low, high, interval}) {
  if (missing(low)) return UNKNOWN;
  const over = interval ? ` (${OVER[interval] ?? interval})` : '';
  return `${(100 * low).toFixed(1)} to ${percent(high, 1)}${over}`;
}

function modelTable(sae, rows) {
  const said = {base: 'base', pretrained: 'pretrained', finetune: 'fine-tune', merge: 'merge'};
  const lines = modelsOf(sae).map(name => {
    const {kind, parents = [], corpora = []} = study.models[name] ?? {};
    return [el('a', {href: href([sae, name])}, name), said[kind] ?? kind ?? UNKNOWN,
      parents.join(', ') || UNKNOWN, corpora.join(', ') || UNKNOWN, whole(livingOf(name, rows))];
  });
  return plainTable('The models', [['model', true], ['kind', true], ['from', true],
    ['trained on', true], ['living features']], lines);
}

function caseTable(sae) {
  const cases = (study.cases ?? []).filter(one => one.sae === sae && !missing(one.feature));
  if (!cases.length) return null;
  const models = modelsOf(sae).filter(name => cases.some(one => !missing(idIn(one, name))));
  const lines = cases.map(one => [one.case,
    ...models.map(name => (missing(idIn(one, name)) ? UNKNOWN
      : el('a', {href: href([sae, name, idIn(one, name)])}, String(idIn(one, name))))),
    words(String(one.verdict ?? UNKNOWN)), words(String(one.function ?? UNKNOWN))]);
  return plainTable('Cases', [['case', true], ...models.map(name => [name]),
    ['the feature', true], ['the function', true]],
    lines, 'A case is a feature that is looked for in one model and followed into the others: ' +
    'there its best partner.');
}

const idIn = (one, model) => (one.model === model ? one.feature : one.models?.[model] ?? null);
