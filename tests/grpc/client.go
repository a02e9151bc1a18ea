// A gRPC caller: client TARGET METHOD KIND DEADLINE_MS. Prints a line of JSON: code, details, messages that came.
package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

type raw struct{}

func (raw) Marshal(value interface{}) ([]byte, error) { return *value.(*[]byte), nil }
func (raw) Unmarshal(data []byte, value interface{}) error {
	*value.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (raw) Name() string   { return "proto" }
func (raw) String() string { return "proto" }

func run(conn *grpc.ClientConn, method, kind string, ctx context.Context) (int, error) {
	words := strings.Split(kind, "-")
	uploads := words[0] == "client" || words[0] == "bidi"
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return 0, err
	}
	one, two := []byte("one"), []byte("two")
	if err := stream.SendMsg(&one); err != nil && err != io.EOF {
		return 0, err
	}
	if len(words) == 1 {
		if uploads {
			stream.SendMsg(&two)
		}
		stream.CloseSend()
	}
	for messages := 0; ; messages++ {
		var answer []byte
		err := stream.RecvMsg(&answer)
		if err == io.EOF {
			return messages, nil
		}
		if err != nil {
			return messages, err
		}
	}
}

func main() {
	ms, _ := strconv.Atoi(os.Args[4])
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(ms)*time.Millisecond)
	defer cancel()
	conn, err := grpc.Dial(os.Args[1], grpc.WithInsecure(), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		panic(err)
	}
	messages, err := run(conn, os.Args[2], os.Args[3], ctx)
	told, _ := status.FromError(err)
	json.NewEncoder(os.Stdout).Encode(map[string]interface{}{"code": int(told.Code()), "details": told.Message(), "messages": messages})
}
