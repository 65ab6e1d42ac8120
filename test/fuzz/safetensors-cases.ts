/** safetensors files: honest ones, and headers that lie. */
import fc from 'fast-check';
import { rawSafetensors } from '../support/tensor-files.js';
import { extreme, filled, HOSTILE_NAMES, names, orDamaged, outerSizes, type TableCase, type Written } from './table-case.js';
import { DTYPE_BITS } from './table-oracle.js';

const FILE = 'model.safetensors';
const SHARD = 'other.safetensors';
const dtypes = Object.entries(DTYPE_BITS.safetensors);

const written: fc.Arbitrary<readonly Written[]> = fc
  .uniqueArray(fc.record({ name: names, type: fc.constantFrom(...dtypes), outer: outerSizes, inner: fc.nat(3) }), {
    maxLength: 6,
    selector: ({ name }) => name,
  })
  .map((all) =>
    all.map(({ name, type: [dtype, bits], outer, inner }, index) => {
      // Four elements of the narrowest types are whole bytes.
      const shape = [...outer, 4 * inner];
      return { name, dtype, shape, bytes: filled((shape.reduce((a, b) => a * b, 1) * bits) / 8, index) };
    }),
  );

/** Text that stands in place of a member's value. */
const lies = fc.oneof(
  fc.constantFrom(
    'null',
    '[]',
    '{}',
    '"F32"',
    '"__proto__"',
    '"F33"',
    '[0,4]',
    '[1e3]',
    '[-0]',
    '[0.5,8]',
    '[[1]]',
    '["4"]',
    '1e999',
  ),
  extreme.map((value) => `[${value}]`),
  fc.tuple(extreme, extreme).map((range) => `[${range}]`),
);
const lie = fc.record({
  entry: fc.nat(5),
  member: fc.constantFrom('name', 'dtype', 'shape', 'data_offsets', 'more'),
  value: lies,
});

type Member = readonly [name: string, json: string];
const object = (members: readonly Member[]): string =>
  `{${members.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`;

function entries(tensors: readonly Written[]): { name: string; members: Member[] }[] {
  let at = 0;
  return tensors.map(({ name, dtype, shape, bytes }) => {
    const from = at;
    at += bytes?.length ?? 0;
    const members: Member[] = [
      ['dtype', JSON.stringify(dtype)],
      ['shape', JSON.stringify(shape)],
      ['data_offsets', `[${from},${at}]`],
    ];
    return { name, members };
  });
}

const data = (tensors: readonly Written[]): Uint8Array => Buffer.concat(tensors.map(({ bytes }) => bytes ?? new Uint8Array(0)));
const honest = (tensors: readonly Written[], metadata: readonly Member[] = []): Uint8Array =>
  rawSafetensors(
    object([...metadata, ...entries(tensors).map(({ name, members }): Member => [name, object(members)])]),
    data(tensors),
  );

const metadata: fc.Arbitrary<readonly Member[]> = fc
  .uniqueArray(names, { maxLength: 3 })
  .map((keys) => [['__metadata__', object(keys.map((key): Member => [key, JSON.stringify(key)]))]]);
const honestCases: fc.Arbitrary<TableCase> = fc
  .tuple(written, fc.oneof(fc.constant([]), metadata))
  .map(([tensors, more]) => ({ files: { [FILE]: honest(tensors, more) }, written: tensors }));

const lyingCases: fc.Arbitrary<TableCase> = fc
  .tuple(written, fc.array(lie, { minLength: 1, maxLength: 3 }), fc.constantFrom(...HOSTILE_NAMES))
  .map(([tensors, edits, name]) => {
    const lying = entries(tensors);
    for (const { entry, member, value } of edits) {
      const target = lying[entry % Math.max(1, lying.length)];
      if (!target) continue;
      if (member === 'name') target.name = name;
      else if (member === 'more') target.members.push([name, value]);
      else target.members = target.members.map((one) => (one[0] === member ? [member, value] : one));
    }
    const header = object(lying.map(({ name: own, members }): Member => [own, object(members)]));
    return { files: { [FILE]: rawSafetensors(header, data(tensors)) } };
  });

/** Two shards and their index, which may name a third file or forget a tensor. */
const shardedCases: fc.Arbitrary<TableCase> = fc
  .record({
    tensors: written,
    cut: fc.nat(6),
    lies: fc.array(fc.tuple(fc.nat(5), fc.constantFrom(FILE, SHARD, '../x', './a', '__proto__')), { maxLength: 1 }),
  })
  .map(({ tensors, cut, lies: edits }) => {
    const shards = [tensors.slice(0, cut), tensors.slice(cut)] as const;
    const map = tensors.map(({ name }, at): [string, string] => [name, at < cut ? FILE : SHARD]);
    for (const [at, file] of edits) map[at % Math.max(1, map.length)] = [map[at % Math.max(1, map.length)]?.[0] ?? 'none', file];
    const index = object([
      ['metadata', '{"total_size":[1,{"a":null}]}'],
      ['weight_map', object(map.map(([name, file]): Member => [name, JSON.stringify(file)]))],
    ]);
    const files = {
      [FILE]: honest(shards[0]),
      [SHARD]: honest(shards[1]),
      'model.safetensors.index.json': Uint8Array.from(Buffer.from(index)),
    };
    return { files, written: edits.length === 0 ? tensors : undefined };
  });

export const safetensorsCases: fc.Arbitrary<TableCase> = fc.oneof(
  { weight: 3, arbitrary: orDamaged(honestCases, FILE) },
  { weight: 3, arbitrary: orDamaged(lyingCases, FILE) },
  { weight: 1, arbitrary: orDamaged(shardedCases, 'model.safetensors.index.json') },
);
