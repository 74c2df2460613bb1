// Keeps the counts on the page current; everything else changes on reload.
const plain = new Intl.NumberFormat("en");
async function refresh() {
  const answer = await fetch("/sandbox/state");
  if (!answer.ok) return;
  const state = await answer.json();
  if (document.body.dataset.videos !== undefined && state.videos.length !== Number(document.body.dataset.videos)) {
    location.reload();
    return;
  }
  for (const video of state.videos) {
    for (const place of document.querySelectorAll(`[data-video="${CSS.escape(video.id)}"]`)) {
      place.textContent = plain.format(video[place.dataset.count]);
    }
  }
}
setInterval(() => refresh().catch(() => {}), 2000);
