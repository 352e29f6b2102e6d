// Posts a notification every 100 ms: go run ./send
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	log.SetFlags(0)
	for number := 1; ; number++ {
		body, _ := json.Marshal(map[string]string{
			"memberId": os.Getenv("MEMBER_ID"), "message": fmt.Sprint("go ", number), "redirectPath": "/",
		})
		fmt.Println("accepted", post(body))
		time.Sleep(100 * time.Millisecond)
	}
}

// post posts until it is accepted, and returns the id. All attempts have one Idempotency-Key: the notification is stored once.
func post(body []byte) int64 {
	key := fmt.Sprintf("%x", randomBytes(16))
	for {
		request, err := http.NewRequest("POST", os.Getenv("TIDINGS_URL")+"/notification/send", bytes.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+os.Getenv("TIDINGS_TOKEN"))
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", key)
		seconds := 1
		if response, err := http.DefaultClient.Do(request); err != nil {
			fmt.Println("retry", err)
		} else {
			text, _ := io.ReadAll(response.Body)
			response.Body.Close()
			var accepted struct{ NotificationID int64 }
			if response.StatusCode == 201 && json.Unmarshal(text, &accepted) == nil {
				return accepted.NotificationID
			}
			fmt.Println("retry", response.StatusCode)
			if response.StatusCode != 409 && response.StatusCode != 429 && response.StatusCode != 503 {
				log.Fatal(string(text))
			}
			if after, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
				seconds = after
			}
		}
		time.Sleep(time.Duration(seconds) * time.Second)
	}
}

func randomBytes(count int) []byte {
	bytes := make([]byte, count)
	_, _ = rand.Read(bytes)
	return bytes
}
