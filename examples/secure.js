'use strict'
const $ = (id) => document.getElementById(id)
const socket = new WebSocket(`wss://${location.host}/chat`)

function add(text) {
    const item = document.createElement('li')
    item.textContent = text             // what people write is text, never markup
    $('log').append(item)
    item.scrollIntoView()
}

socket.onmessage = (event) => {
    add(event.data)
    $('send').disabled = false
}
socket.onclose = () => {
    add('The connection is closed.')
    $('send').disabled = true
}

$('form').onsubmit = (event) => {
    event.preventDefault()
    if ($('text').value) socket.send($('text').value)
    $('text').value = ''
}
