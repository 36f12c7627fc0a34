// Requests samples and their pictures from the server, each once.

import { call } from './requests.js';
import { pictures, samples, state } from './state.js';

export function sampleAt(position) {
  return (
    samples.get(position) ||
    samples.set(
      position,
      call('review_sample', state.context, { position }).catch((error) => {
        samples.delete(position);
        throw error;
      }),
    )
  );
}

export async function decoded(src, width, height) {
  const image = new Image();
  image.src = src;
  await image.decode();
  return { image, width, height };
}

export function pictureAt(position, number) {
  const key = `${position}/${number}`;
  return (
    pictures.get(key) ||
    pictures.set(
      key,
      call('review_picture', state.context, { position, number })
        .then(({ src, width, height }) => decoded(src, width, height))
        .catch((error) => {
          pictures.delete(key);
          throw error;
        }),
    )
  );
}

export const picturesOf = (sample) =>
  [...Array(sample.pictures).keys()].map((number) => {
    const picture = pictureAt(sample.position, number);
    picture.catch(() => {}); // its message is shown instead of the image
    return picture;
  });

export async function fetchAhead(position) {
  const sample = await sampleAt(position);
  await Promise.allSettled(picturesOf(sample));
  if (sample.typical) await Promise.allSettled(picturesOf(await sampleAt(sample.typical.position)));
}
