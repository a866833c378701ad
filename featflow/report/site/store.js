'use strict';

// Data files are scripts that hand in their value, since a page from disk may not fetch. Each is
// loaded once, when it is first asked for.
const study = JSON.parse(document.getElementById('study').textContent);
const values = new Map(), pending = new Map();
const SHARDS = 48; // kept in memory: a day of browsing must not fill it

window.featflow = {put(key, value) { values.set(key, value); }};

function fileOf(key) {
  const depth = key.split('/').length;
  if (depth === 1) return `${key}.js`;
  return depth === 2 ? `features/${key}/index.js` : `features/${key}.js`;
}

class MissingFile extends Error {
  constructor(key, what) {
    super(`${fileOf(key)} ${what}`);
    this.key = key;
  }
}

function script(key) {
  return new Promise((resolve, reject) => {
    const element = document.createElement('script');
    element.src = fileOf(key);
    element.onload = () => {
      element.remove();
      if (values.has(key)) resolve(values.get(key));
      else reject(new MissingFile(key, 'is cut short or holds something else'));
    };
    element.onerror = () => {
      element.remove();
      reject(new MissingFile(key, 'could not be read'));
    };
    document.head.append(element);
  });
}

function load(key) {
  if (!pending.has(key)) {
    const promise = script(key);
    pending.set(key, promise);
    promise.catch(() => pending.delete(key)); // so that a second try is one
    forget();
  }
  return pending.get(key);
}

function forget() {
  const shards = [...pending.keys()].filter(key => key.split('/').length === 3);
  for (const key of shards.slice(0, -SHARDS)) {
    pending.delete(key);
    values.delete(key);
  }
}

// A dictionary: the columns of its features, and the texts of the tokens.
async function dictionary(model, sae) {
  const [index, vocabulary] = await Promise.all([load(`${model}/${sae}`), load('vocabulary')]);
  return {...index, vocabulary};
}

async function featureOf(index, id) {
  const shard = Math.floor(id / index.per_shard);
  const features = await load(`${index.model}/${index.sae}/${shard}`);
  const found = features[id - shard * index.per_shard];
  if (found?.id !== id) {
    throw new MissingFile(`${index.model}/${index.sae}/${shard}`, `does not hold feature ${id}`);
  }
  return found;
}

const saes = () => Object.keys(study.saes);
const modelsOf = sae => study.saes[sae] ?? [];
const othersOf = (sae, model) => modelsOf(sae).filter(name => name !== model);

// The edges of which a model is an end, as {edge, role, other}, those into it first.
function edgesOf(sae, model) {
  const known = modelsOf(sae), found = [];
  for (const [parent, child] of study.edges) {
    if (!known.includes(parent) || !known.includes(child)) continue;
    const edge = `${parent}-${child}`;
    if (child === model) found.unshift({edge, role: 'child', other: parent});
    if (parent === model) found.push({edge, role: 'parent', other: child});
  }
  return found;
}
