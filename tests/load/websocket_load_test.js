// websocket_load_test.js: up to 200 who come, join a room, say something every
// 5 s and go after 30 s.  From the environment:
//   WS_HOST  host:port         TOKEN  a JWT
//   STAGE_SCALE  1 keeps the minutes, 0.05 makes seconds of them
import ws from 'k6/ws';
import { check } from 'k6';

const scale = Number(__ENV.STAGE_SCALE || 1);
const minutes = (n) => `${Math.round(n * 60 * scale * 1000)}ms`;

export let options = {
  stages: [
    { duration: minutes(1), target: 50 },
    { duration: minutes(3), target: 100 },
    { duration: minutes(1), target: 200 },
    { duration: minutes(2), target: 200 },
    { duration: minutes(1), target: 0 },
  ],
};

export default function () {
  const url = `ws://${__ENV.WS_HOST || 'localhost:8080'}/ws?token=${__ENV.TOKEN}`;
  
  const response = ws.connect(url, {}, function (socket) {
    socket.on('open', function open() {
      console.log('Connected');
      
      // Join a conversation
      socket.send(JSON.stringify({
        event: 'join_conversation',
        data: { conversationId: 'test_conversation_1' }
      }));
    });

    socket.on('message', function (message) {
      const data = JSON.parse(message);
      check(data, {
        'message has event': (msg) => msg.event !== undefined,
        'message has data': (msg) => msg.data !== undefined,
      });
    });

    // Send messages every 5 seconds
    socket.setInterval(function timeout() {
      socket.send(JSON.stringify({
        event: 'send_message',
        data: {
          conversationId: 'test_conversation_1',
          type: 'text',
          content: { text: `Test message ${Date.now()}` },
          clientMessageId: `client_${Date.now()}`
        }
      }));
    }, 5000);

    // Keep connection alive for 30 seconds
    socket.setTimeout(function () {
      socket.close();
    }, 30000);
  });

  check(response, { 'status is 101': (r) => r && r.status === 101 });
}
