const part = (name) => element.querySelector(name);
const say = (words, bad) => {
  part('.emo-said').textContent = words;
  part('.emo-said').classList.toggle('bad', Boolean(bad));
};
const send = async (file) => {
  if (!file) return;
  props.value = '';
  if (file.size > props.most) { say(props.limits + ': this file is more.', true); return; }
  say('Uploading ' + file.name);
  const kind = /^(video|audio)\//.test(file.type) ? file.type : 'application/octet-stream';
  let told, reply;
  try {
    reply = await fetch('clips', {method: 'POST', headers: {'Content-Type': kind}, body: file});
    told = await reply.json();
  } catch (error) { say('The upload was broken off.', true); return; }
  if (!reply.ok) { say(told.error.message + ' (id ' + told.error.id + ')', true); return; }
  props.value = told.clip;
  setTimeout(() => {
    part('.emo-preview').src = URL.createObjectURL(file);
    part('.emo-preview').hidden = false;
    say(file.name + ', ' + told.seconds.toFixed(1) + ' s: ready to answer for.');
  }, 50);
};
watch('value', () => {
  if (!props.value && !part('.emo-preview').hidden) say('Choose a clip again for another answer.');
});
element.addEventListener('change', (event) => {
  if (event.target.classList.contains('emo-file')) send(event.target.files[0]);
});
element.addEventListener('dragover', (event) => { event.preventDefault(); part('.emo-drop').classList.add('over'); });
element.addEventListener('dragleave', () => part('.emo-drop').classList.remove('over'));
element.addEventListener('drop', (event) => {
  event.preventDefault();
  part('.emo-drop').classList.remove('over');
  send(event.dataTransfer.files[0]);
});
