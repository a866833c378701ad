'use strict';

// The page: which view an address has, and what stands around it.
const content = document.getElementById('content');
let step = 0; // only the last of several views on their way is shown

function viewOf({parts, query}) {
  if (parts.length === 0) return flowView(query);
  if (parts.length === 1 && parts[0] === 'search') return searchView(query);
  const [sae, model, number] = parts;
  const isKnown = Object.hasOwn(study.saes, sae) && modelsOf(sae).includes(model);
  if (isKnown && parts.length === 2) return tableView(sae, model, query);
  if (isKnown && parts.length === 3 && /^\d+$/.test(number)) {
    return featureView(sae, model, Number(number), query);
  }
  return unknownView();
}

function unknownView() {
  const known = saes().flatMap(sae => modelsOf(sae).map(model => [
    el('li', {}, el('a', {href: href([sae, model])}, `${model}, SAE ${sae}`))]));
  return {
    title: 'No such page',
    node: notice('No such page', 'This study has no page at this address. It has:',
      el('ul', {}, el('li', {}, el('a', {href: '#/'}, 'the flow')), known)),
  };
}

function failedView(error) {
  if (!(error instanceof MissingFile)) throw error;
  return {
    title: 'A file is missing',
    node: notice('A file is missing', error.message,
      'It belongs beside explorer.html. Copy the whole folder of the report, with vocabulary.js ' +
      'and the folder features, or have featflow write it again.',
      el('button', {type: 'button', onclick: () => show()}, 'Try again')),
  };
}

async function show() {
  const mine = ++step, address = location.hash, route = routeOf(address);
  const slow = setTimeout(() => {
    content.dataset.view = '';
    content.replaceChildren(el('p', {class: 'waiting', role: 'status'}, 'Reading the data …'));
  }, 250);
  let next;
  try {
    next = await viewOf(route);
  } catch (error) {
    next = failedView(error);
  } finally {
    clearTimeout(slow);
  }
  if (mine !== step) return;
  view = {keys: {}, ...next};
  hideTip();
  document.title = `${view.title} · ${study.study} · featflow`;
  content.replaceChildren(view.node);
  content.dataset.view = address || '#/';
  around(route);
  view.shown?.();
  const top = left.get(address) ?? 0;
  scrollTo(0, top);
  if (mine > 1 && document.activeElement?.id !== 'query') {
    content.querySelector('h1')?.focus({preventScroll: true});
  }
}

// The links of the bar, and what is searched.
function around({parts, query}) {
  const sae = Object.hasOwn(study.saes, parts[0]) ? parts[0] : query.get('sae') ?? saes()[0];
  const link = (to, name, isHere) =>
    el('a', {href: to, 'aria-current': isHere ? 'page' : null}, name);
  document.getElementById('models').replaceChildren(
    link(href([], sae === saes()[0] ? {} : {sae}), 'Flow', parts.length === 0),
    ...modelsOf(sae).map(model => link(href([sae, model]), model, parts[1] === model)));
  const field = document.getElementById('query');
  if (document.activeElement !== field) field.value = query.get('q') && parts[0] === 'search'
    ? query.get('q') : '';
  field.dataset.sae = sae;
}

function start() {
  document.getElementById('name').textContent = study.study;
  dress(storedScheme());
  document.getElementById('scheme').addEventListener('click', nextScheme);
  document.getElementById('help').addEventListener('click', openHelp);
  document.getElementById('skip').addEventListener('click', event => {
    event.preventDefault(); // its address would be a page's
    content.focus();
  });
  document.getElementById('search').addEventListener('submit', event => {
    event.preventDefault();
    search();
  });
  document.getElementById('query').addEventListener('input', searchSoon);
  addEventListener('scroll', () => left.set(content.dataset.view, scrollY), {passive: true});
  addEventListener('keydown', pressed);
  addEventListener('hashchange', show);
  addEventListener('beforeprint', () => view.onPaper?.(true));
  addEventListener('afterprint', () => view.onPaper?.(false));
  show();
}

addEventListener('DOMContentLoaded', start);
