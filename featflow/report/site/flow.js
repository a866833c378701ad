'use strict';

// Where every feature went. Every band is a link to the list of its features.
const LINE = 15; // pixels of a line of a label; a band thinner than it is told by the table alone
const EDGES_TALL = 120, NARROW = 230; // pixels of height an edge, of width a generation

function edgeRows(sae) {
  return (study.counts[sae] ?? []).map(row => {
    const [parent, child] = row.edge.split('-');
    return {...row, parent, child};
  });
}

const listOf = (sae, row, role, fate) =>
  href([sae, role === 'parent' ? row.parent : row.child], {edge: row.edge, role, fate});

// A share never stands alone: beside it the most and the least that it could have been.
function beside(row) {
  const parts = [];
  if (!missing(row.ceiling)) parts.push(`ceiling ${percent(row.ceiling)}`);
  if (!missing(row.floor)) parts.push(`floor ${percent(row.floor)}`);
  return parts.length ? ` (${parts.join(', ')})` : '';
}

function flowView(query) {
  const named = query.get('sae'), sae = Object.hasOwn(study.saes, named) ? named : saes()[0];
  const rows = edgeRows(sae), figure = el('div', {class: 'scroll flow', tabindex: 0,
    role: 'group', 'aria-label': 'The flow; every band links to its features'});
  const node = el('section', {},
    el('h1', {tabindex: -1}, 'Where every feature went'),
    el('p', {class: 'lead'}, rule(sae)),
    saes().length > 1 ? choice(sae) : null,
    rows.length ? [legend(), figure, edgeTable(sae, rows)]
      : el('p', {}, 'No model and its parent both have this SAE: there is no flow.'),
    modelTable(sae, rows), caseTable(sae));
  const draw = () => rows.length && figure.isConnected && drawFlow(figure, sae, rows);
  const observer = new ResizeObserver(draw);
  observer.observe(figure);
  return {title: 'The flow', node, keys: {}, shown: draw};
}

function rule(sae) {
  const {threshold, scope, min_firings: firings, min_documents: documents} = study.flow;
  return `SAE ${sae}. Two features are the same if Pearson’s r of their activations on the same ` +
    `tokens is above ${threshold}; scope ${scope}. Features that fire on fewer than ` +
    `${whole(firings)} tokens or in fewer than ${whole(documents)} documents there are rare, and ` +
    'in no share. Heights are numbers of features, on one scale; a band lists its own. Bands of ' +
    'features that persist into several children overlap at the bar.';
}

const choice = sae => el('p', {class: 'choice'}, 'SAE ', saes().map(name =>
  el('a', {href: href([], {sae: name}), 'aria-current': name === sae ? 'true' : null}, name)));

const legend = () => el('ul', {class: 'legend'}, [
  ['persisting', 'persists; on the child’s side: traced to this parent'],
  ['disappearing', 'disappears: in no child'],
  ['emerging', 'emerges: in no parent']].map(([kind, said]) =>
  el('li', {}, el('span', {class: `swatch ${kind}`}), said)));

function drawFlow(figure, sae, rows) {
  const columns = generations([...new Set(rows.flatMap(row => [row.parent, row.child]))],
    rows.map(row => [row.parent, row.child]));
  const tallest = Math.max(...columns.map(column => column.length));
  const width = Math.max(figure.clientWidth - 4, NARROW * columns.length);
  const height = Math.min(Math.max(420, EDGES_TALL * (tallest + 1) + 60), 900);
  if (figure.dataset.width === String(width)) return;
  figure.dataset.width = width;
  const bands = bandsOf(rows), places = place(columns, rows, bands, width, height);
  const drawing = svg('svg', {viewBox: `0 0 ${width} ${height}`, width, height}, gradients());
  bands.sort((a, b) => (a.kind === 'persisting') - (b.kind === 'persisting')); // on top of stubs
  for (const band of bands) drawing.append(...drawBand(band, places, sae));
  for (const [name, box] of places.boxes) {
    drawing.append(drawModel(name, box, columns.length, sae, rows));
  }
  figure.replaceChildren(drawing);
}

// Stubs fade out: they lead nowhere.
const gradients = () => svg('defs', {}, ['disappearing', 'emerging'].map(kind =>
  svg('linearGradient', {id: `fade-${kind}`, x1: kind === 'emerging' ? 1 : 0,
    x2: kind === 'emerging' ? 0 : 1},
  [[0, 1], [0.65, 0.8], [1, 0]].map(([offset, opacity]) =>
    svg('stop', {offset, class: kind, 'stop-opacity': opacity})))));

function drawBand(band, {boxes, reach}, sae) {
  const {row, kind} = band, [parent, child] = [row.parent, row.child];
  if (kind === 'disappearing') {
    const x = boxes.get(parent).x + BAR, alone = band.children.length === 1;
    const where = alone ? `in ${child}` : 'in every child';
    return [area(outline(x, band.from, x + reach, band.from), 'disappearing',
      listOf(sae, alone ? row : {...row, edge: EVERY}, 'parent', kind),
      `${whole(band.out)} features of ${parent} disappear ${where}`,
      [`${whole(band.out)} disappear`, where], x + 8, band.from)];
  }
  if (kind === 'emerging') {
    const x = boxes.get(child).x;
    return [area(outline(x - reach, band.to, x, band.to), 'emerging',
      listOf(sae, row, 'child', kind), `${whole(row.emerging)} features of ${child} emerge: they ` +
      'are in no parent', [`${whole(row.emerging)} emerge`], x - 8, band.to, true)];
  }
  const x0 = boxes.get(parent).x + BAR, x1 = boxes.get(child).x;
  const here = row.traced_here ?? row.traced, share = percent(row.share);
  return [
    area(outline(x0, band.from, x1, band.to, 0, 0.5), kind, listOf(sae, row, 'parent', kind),
      `${whole(row.persisting)} features of ${parent} persist in ${child}: ${share}${beside(row)}`,
      [`${whole(row.persisting)} persist`, `${share}${beside(row)}`], x0 + 8, band.from),
    area(outline(x0, band.from, x1, band.to, 0.5, 1), kind, listOf(sae, row, 'child', kind),
      `${whole(row.traced)} features of ${child} are traced to a parent, ${whole(here)} of them ` +
      `to ${parent}`, [`${whole(here)} traced`], x1 - 8, band.to, true)];
}

// A linked area with as many lines of its label as it has room for.
function area(path, kind, to, said, lines, x, {y, thickness}, isAtEnd = false) {
  const shownLines = lines.slice(0, Math.floor(thickness / LINE));
  const first = y + thickness / 2 - (shownLines.length - 1) * LINE / 2;
  return svg('a', {href: to, class: `band ${kind}`, 'aria-label': said},
    svg('title', {}, said), svg('path', {d: path}),
    shownLines.map((line, i) => svg('text', {x, y: (first + i * LINE).toFixed(1), dy: '0.35em',
      'text-anchor': isAtEnd ? 'end' : 'start'}, line)));
}

function drawModel(name, {x, top, bottom, column}, columns, sae, rows) {
  const living = livingOf(name, rows), isLast = column === columns - 1 && columns > 1;
  const at = isLast ? x + BAR : column === 0 ? x : x + BAR / 2;
  const anchor = isLast ? 'end' : column === 0 ? 'start' : 'middle';
  return svg('a', {href: href([sae, name]), class: 'model',
    'aria-label': `${name}: all its features`},
  svg('rect', {x, y: top, width: BAR, height: Math.max(bottom - top, 1)}),
  svg('text', {x: at, y: top - 23, 'text-anchor': anchor, class: 'name'}, name),
  svg('text', {x: at, y: top - 8, 'text-anchor': anchor}, `${whole(living)} living`));
}

function livingOf(name, rows) {
  return rows.some(row => [row.parent, row.child].includes(name)) ? sizeOf(name, rows).living : null;
}
