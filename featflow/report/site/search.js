'use strict';

// One search over all models of an SAE: top tokens, explanations, categories, feature numbers.
const FOUND = 50; // features a model that are listed; its table has all
let typing = null;

const searched = field => ({
  q: field.value, sae: field.dataset.sae === saes()[0] ? null : field.dataset.sae});

function search() {
  const field = document.getElementById('query'), to = href(['search'], searched(field));
  if (location.hash === to) return;
  location.hash = to;
}

// On the page of results what is typed is searched for at once.
function searchSoon() {
  clearTimeout(typing);
  if (routeOf(location.hash).parts[0] !== 'search') return;
  typing = setTimeout(() => {
    readdress(['search'], searched(document.getElementById('query')));
    show();
  }, 150);
}

async function searchView(query) {
  const asked = query.get('q') ?? '', named = query.get('sae');
  const sae = Object.hasOwn(study.saes, named) ? named : saes()[0];
  const title = asked ? `Search: ${plainly(asked.slice(0, 60))}` : 'Search';
  const head = [
    el('h1', {tabindex: -1}, 'Search'),
    el('p', {class: 'note'}, 'A feature is found by its top token (that with the largest sum of ',
      'activations), by its explanation or category, or by its number. Write \\n for a newline, ',
      '\\t for a tab.'),
  ];
  if (!asked) return {title, node: el('section', {}, head), keys: linkKeys()};
  const indexes = await Promise.all(modelsOf(sae).map(model => dictionary(model, sae)));
  const parts = indexes.map(index => found(index, sae, asked));
  const total = parts.reduce((sum, part) => sum + part.count, 0);
  head.push(el('p', {role: 'status'}, el('b', {}, plural(total, 'feature')), ' for ',
    el('q', {dir: 'auto'}, shown(asked)), total > 0 ? '.' : '. Fewer letters find more.'));
  return {title, keys: linkKeys(),
    node: el('section', {class: 'results'}, head, parts.map(part => part.node))};
}

function found(index, sae, query) {
  const fit = finder(index, query), {columns, model} = index, hits = [];
  for (let i = 0; i < index.features; i++) {
    const rank = fit(i);
    if (rank > 0) hits.push({i, rank});
  }
  const weight = i => columns.density[i] ?? 0;
  hits.sort((a, b) => b.rank - a.rank || weight(b.i) - weight(a.i) || a.i - b.i);
  if (hits.length === 0) return {count: 0, node: null};
  const more = hits.length > FOUND ?
    el('p', {}, el('a', {href: href([sae, model], {q: query})},
      `All ${whole(hits.length)} in the table of ${model}`)) : null;
  const node = el('section', {'aria-label': model},
    el('h2', {}, model, el('span', {class: 'quiet'}, ` ${plural(hits.length, 'feature')}`)),
    el('ul', {class: 'hits'}, hits.slice(0, FOUND).map(({i}) => hit(index, sae, i))), more);
  return {count: hits.length, node};
}

function hit(index, sae, i) {
  const {columns, model} = index, told = columns.explanation?.[i];
  return el('li', {},
    el('a', {href: href([sae, model, i]), 'aria-label': `${model} ${i}`}, String(i)),
    token(index.vocabulary, columns.token[i]),
    el('span', {class: 'quiet'}, density(columns.density[i])),
    told ? el('span', {class: 'told'}, words(told),
      missing(columns.score?.[i]) ? null :
        el('span', {class: 'quiet'}, ` score ${fixed(columns.score[i])}`)) : null);
}

// Keys that walk through a page's links.
function linkKeys() {
  const move = by => {
    const links = [...content.querySelectorAll('.hits a')];
    const at = links.indexOf(document.activeElement);
    const next = links[at < 0 ? 0 : at + by];
    next?.focus();
    return Boolean(next);
  };
  return {j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1)};
}
