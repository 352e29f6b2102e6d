// Prints the notifications of a member, across reconnects: go run ./receive
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const heartBeat = 10 * time.Second

// Close codes after which a new connection would end in the same way.
var finalCodes = []int{1000, 4400, 4401, 4403, 4409}

// Where to resume. Keep it with what was received.
var position string

func main() {
	url := strings.Replace(os.Getenv("TIDINGS_URL"), "http", "ws", 1) + "/ws"
	dialer := websocket.Dialer{Subprotocols: []string{"v12.stomp"}, HandshakeTimeout: heartBeat}
	for {
		delay := time.Second + time.Duration(rand.Int63n(int64(2*time.Second)))
		socket, response, err := dialer.Dial(url, http.Header{"Authorization": {"Bearer " + os.Getenv("TIDINGS_TOKEN")}})
		var closed *websocket.CloseError
		if err == nil {
			err = talk(socket)
			socket.Close()
		} else if response != nil {
			err = nil
			fmt.Println("refused", response.StatusCode)
		}
		if errors.As(err, &closed) {
			fmt.Println("closed", closed.Code)
			if slices.Contains(finalCodes, closed.Code) {
				return
			}
			// A gateway that stops names the delay: "reconnect after 1500 ms".
			if named := regexp.MustCompile(`after (\d+) ms`).FindStringSubmatch(closed.Text); named != nil {
				ms, _ := strconv.Atoi(named[1])
				delay = time.Duration(ms) * time.Millisecond
			}
		} else if err != nil {
			fmt.Println("closed", err)
		}
		time.Sleep(delay)
	}
}

// talk speaks STOMP until the connection ends.
func talk(socket *websocket.Conn) error {
	connect := fmt.Sprintf("CONNECT\naccept-version:1.2\nhost:tidings\nheart-beat:0,%d\n\n\x00", heartBeat.Milliseconds())
	if err := socket.WriteMessage(websocket.TextMessage, []byte(connect)); err != nil {
		return err
	}
	for {
		_ = socket.SetReadDeadline(time.Now().Add(3 * heartBeat))
		_, frame, err := socket.ReadMessage()
		if err != nil {
			return err
		}
		if string(frame) == "\n" {
			continue
		}
		head, body, _ := strings.Cut(strings.TrimRight(string(frame), "\x00"), "\n\n")
		lines := strings.Split(head, "\n")
		headers := map[string]string{}
		for _, line := range lines[1:] {
			name, value, _ := strings.Cut(line, ":")
			headers[name] = value
		}
		switch lines[0] {
		case "CONNECTED":
			subscribe := "SUBSCRIBE\nid:0\ndestination:/member/queue/notification\nreceipt:0\n"
			if position != "" {
				subscribe += "last-message-id:" + position + "\n"
			}
			if err := socket.WriteMessage(websocket.TextMessage, []byte(subscribe+"\n\x00")); err != nil {
				return err
			}
		case "RECEIPT":
			// On recovered:false, read the inbox: notifications were sent that the history no longer has.
			recovered := headers["recovered"]
			if recovered == "" {
				recovered = "nothing"
			}
			fmt.Println("subscribed, recovered", recovered)
			if position == "" {
				position = headers["position"]
			}
		case "MESSAGE":
			var notification struct{ NotificationID int64 }
			if err := json.Unmarshal([]byte(body), &notification); err != nil {
				return err
			}
			fmt.Println("received", notification.NotificationID)
			position = headers["message-id"]
		default:
			fmt.Println(lines[0], headers["message"])
		}
	}
}
