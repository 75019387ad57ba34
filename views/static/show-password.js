// Shows what was typed into the fields that a button names. Without this script the buttons stay hidden.
for (const button of document.querySelectorAll('button[data-reveals]')) {
  const fields = button.dataset.reveals.split(' ').map((id) => document.getElementById(id))
  const setShown = (isShown) => {
    for (const field of fields) field.type = isShown ? 'text' : 'password'
    button.firstChild.data = isShown ? 'Hide' : 'Show'
  }
  button.addEventListener('click', () => {
    setShown(fields[0].type === 'password')
    fields[0].focus()
  })
  // Browsers remember what was typed into fields of text.
  button.form.addEventListener('submit', () => setShown(false))
  button.hidden = false
}
