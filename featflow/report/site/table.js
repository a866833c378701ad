'use strict';

// A model's features: filters, and a table of which only the rows in sight exist.
const ROW = 34, BEYOND = 10; // pixels of a row; rows kept beyond either side of those in sight
const FILTERS = ['q', 'edge', 'role', 'fate', 'stratum', 'category', 'dmin', 'dmax', 'score'];
const ON_PAPER = 400; // rows that are printed

async function tableView(sae, model, asked) {
  const index = await dictionary(model, sae), others = othersOf(sae, model);
  const near = edgesOf(sae, model).map(one => one.other).find(name => others.includes(name));
  const query = {sort: 'feature', dir: 'asc', with: near ?? others[0],
    ...Object.fromEntries(asked)};
  const rows = new Rows(index, sae, query);
  const said = el('output', {class: 'found', 'aria-live': 'polite'});
  const update = () => {
    if (!node.isConnected) return; // the reader has gone on
    readdress([sae, model], unusual(query, near ?? others[0]));
    content.dataset.view = location.hash;
    rows.choose();
    Object.assign(walk, {name: `${model}/${sae}`, order: rows.order});
    const {length} = rows.order;
    said.value = length === index.features ? plural(length, 'feature')
      : `${whole(length)} of ${plural(index.features, 'feature')}`;
  };
  rows.changed = update;
  const node = el('section', {class: 'features'},
    el('h1', {tabindex: -1}, `${model}`, el('span', {class: 'quiet'},
      ` SAE ${sae}, ${index.hook}, ${whole(index.tokens)} tokens of the probe`)),
    filters(index, sae, query, update), said, rows.node);
  const by = step => () => rows.move(step);
  return {
    title: `Features of ${model}`, node,
    keys: {j: by(1), k: by(-1), ArrowDown: by(1), ArrowUp: by(-1)},
    onPaper: isOn => rows.draw(isOn),
    shown: () => {
      update();
      rows.back();
    },
  };
}

// What of a query is not as it would be anyway.
function unusual(query, near) {
  const usual = {sort: 'feature', dir: 'asc', with: near};
  return Object.fromEntries(Object.entries(query).filter(([key, value]) => value !== usual[key]));
}

function filters(index, sae, query, update) {
  const c = index.columns, edges = edgesOf(sae, index.model)
    .filter(one => c.fates?.[fatesKey(one)]);
  const set = (values, later = false) => {
    Object.assign(query, values);
    clearTimeout(typing);
    typing = setTimeout(update, later ? 150 : 0);
  };
  const label = (name, control) => el('label', {}, `${name} `, control);
  const options = (list, at) => list.map(([value, name]) =>
    el('option', {value, selected: value === (at ?? '')}, name));
  const field = (key, attributes) => el('input', {...attributes, value: query[key] ?? '',
    autocomplete: 'off', oninput: event => set({[key]: event.target.value}, true)});
  const select = (key, list) => el('select',
    {onchange: event => set({[key]: event.target.value})}, options(list, query[key]));
  const fateOptions = edges.flatMap(one => {
    const own = one.role === 'parent' ? ['persisting', 'disappearing'] : ['persisting', 'emerging'];
    return [...own, 'rare', 'silent'].map(fate => [`${one.edge} ${one.role} ${fate}`,
      `${fateWord(fate, one.role).join(' ')} ${edgeName(one)}`]);
  });
  if (edges.filter(one => one.role === 'parent').length > 1) {
    fateOptions.push([`${EVERY} parent disappearing`,
      `${fateWord('disappearing', 'parent').join(' ')} in every child`]);
  }
  const fate = el('select', {onchange: event => {
    const [edge = '', role = '', name = ''] = event.target.value.split(' ');
    set({edge, role, fate: name});
  }}, options([['', 'any'], ...fateOptions], `${query.edge} ${query.role} ${query.fate}`));
  const strata = strataOf(index).map(name => [name, name]);
  const categories = [...new Set(c.category ?? [])].filter(name => !missing(name)).sort();
  const others = othersOf(sae, index.model).map(name => [name, name]);
  const hasScores = c.score?.some(value => !missing(value));
  return el('form', {class: 'filter', onsubmit: event => event.preventDefault(),
    'aria-label': 'Filters'},
  label('Find', field('q', {type: 'search', placeholder: 'token, explanation, number'})),
  edges.length ? label('Fate', fate) : null,
  label('Kind', select('stratum', [['', 'any'], ...strata])),
  categories.length ? label('Category',
    select('category', [['', 'any'], ...categories.map(name => [name, name])])) : null,
  el('span', {class: 'range', role: 'group', 'aria-label': 'Density'}, 'Density ',
    field('dmin', {inputmode: 'decimal', placeholder: 'from 1e-5', 'aria-label': 'Density from'}),
    ' – ',
    field('dmax', {inputmode: 'decimal', placeholder: 'to 0.1', 'aria-label': 'Density up to'})),
  hasScores ? label('Score from', field('score', {inputmode: 'decimal', class: 'short',
    placeholder: '0.5'})) : null,
  others.length ? label('Partners in', select('with', others)) : null,
  el('button', {type: 'button', onclick: () => {
    for (const key of FILTERS) delete query[key];
    location.hash = href([sae, index.model], query);
  }}, 'Clear'));
}
