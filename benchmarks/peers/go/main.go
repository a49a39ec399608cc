// The yardstick of another language: net/http and encoding/json decode a request into structs that hold the same
// fields as ours, and answer a constant. Prints {"port": ..., "pid": ...} once it listens.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
)

type Format struct {
	W      int `json:"w"`
	H      int `json:"h"`
	WRatio int `json:"wratio"`
	HRatio int `json:"hratio"`
	WMin   int `json:"wmin"`
}

type Banner struct {
	Format   []Format `json:"format"`
	W        int      `json:"w"`
	H        int      `json:"h"`
	Pos      int      `json:"pos"`
	TopFrame int      `json:"topframe"`
	Vcm      int      `json:"vcm"`
	BType    []int    `json:"btype"`
	BAttr    []int    `json:"battr"`
	ExpDir   []int    `json:"expdir"`
	API      []int    `json:"api"`
	Mimes    []string `json:"mimes"`
	ID       string   `json:"id"`
}

type DurFloors struct {
	MinDur   int     `json:"mindur"`
	MaxDur   int     `json:"maxdur"`
	BidFloor float64 `json:"bidfloor"`
}

type Video struct {
	Mimes          []string    `json:"mimes"`
	MinDuration    int         `json:"minduration"`
	MaxDuration    int         `json:"maxduration"`
	StartDelay     int         `json:"startdelay"`
	MaxSeq         int         `json:"maxseq"`
	PodDur         int         `json:"poddur"`
	W              int         `json:"w"`
	H              int         `json:"h"`
	PodSeq         int         `json:"podseq"`
	Placement      int         `json:"placement"`
	Plcmt          int         `json:"plcmt"`
	Linearity      int         `json:"linearity"`
	Skip           int         `json:"skip"`
	SkipMin        int         `json:"skipmin"`
	SkipAfter      int         `json:"skipafter"`
	Sequence       int         `json:"sequence"`
	SlotInPod      int         `json:"slotinpod"`
	MaxExtended    int         `json:"maxextended"`
	MinBitrate     int         `json:"minbitrate"`
	MaxBitrate     int         `json:"maxbitrate"`
	BoxingAllowed  int         `json:"boxingallowed"`
	PlaybackEnd    int         `json:"playbackend"`
	Pos            int         `json:"pos"`
	Protocols      []int       `json:"protocols"`
	RqdDurs        []int       `json:"rqddurs"`
	BAttr          []int       `json:"battr"`
	PlaybackMethod []int       `json:"playbackmethod"`
	Delivery       []int       `json:"delivery"`
	API            []int       `json:"api"`
	CompanionType  []int       `json:"companiontype"`
	PodDedupe      []int       `json:"poddedupe"`
	PodID          string      `json:"podid"`
	MinCPMPerSec   float64     `json:"mincpmpersec"`
	CompanionAd    []Banner    `json:"companionad"`
	DurFloors      []DurFloors `json:"durfloors"`
}

type Audio struct {
	Mimes         []string    `json:"mimes"`
	MinDuration   int         `json:"minduration"`
	MaxDuration   int         `json:"maxduration"`
	PodDur        int         `json:"poddur"`
	StartDelay    int         `json:"startdelay"`
	PodSeq        int         `json:"podseq"`
	Sequence      int         `json:"sequence"`
	SlotInPod     int         `json:"slotinpod"`
	MaxExtended   int         `json:"maxextended"`
	MinBitrate    int         `json:"minbitrate"`
	MaxBitrate    int         `json:"maxbitrate"`
	MaxSeq        int         `json:"maxseq"`
	Feed          int         `json:"feed"`
	Stitched      int         `json:"stitched"`
	NVol          int         `json:"nvol"`
	Protocols     []int       `json:"protocols"`
	RqdDurs       []int       `json:"rqddurs"`
	BAttr         []int       `json:"battr"`
	Delivery      []int       `json:"delivery"`
	API           []int       `json:"api"`
	CompanionType []int       `json:"companiontype"`
	PodID         string      `json:"podid"`
	MinCPMPerSec  float64     `json:"mincpmpersec"`
	CompanionAd   []Banner    `json:"companionad"`
	DurFloors     []DurFloors `json:"durfloors"`
}

type Native struct {
	Request string `json:"request"`
	Ver     string `json:"ver"`
	API     []int  `json:"api"`
	BAttr   []int  `json:"battr"`
}

type Deal struct {
	ID           string      `json:"id"`
	BidFloorCur  string      `json:"bidfloorcur"`
	BidFloor     float64     `json:"bidfloor"`
	At           int         `json:"at"`
	Guar         int         `json:"guar"`
	WSeat        []string    `json:"wseat"`
	WADomain     []string    `json:"wadomain"`
	MinCPMPerSec float64     `json:"mincpmpersec"`
	DurFloors    []DurFloors `json:"durfloors"`
}

type Pmp struct {
	PrivateAuction int    `json:"private_auction"`
	Deals          []Deal `json:"deals"`
}

type Metric struct {
	Type   string  `json:"type"`
	Vendor string  `json:"vendor"`
	Value  float64 `json:"value"`
}

type ImpExt struct {
	GPID string `json:"gpid"`
}

type Imp struct {
	ID                string   `json:"id"`
	Metric            []Metric `json:"metric"`
	Banner            *Banner  `json:"banner"`
	Video             *Video   `json:"video"`
	Audio             *Audio   `json:"audio"`
	Native            *Native  `json:"native"`
	Pmp               *Pmp     `json:"pmp"`
	DisplayManager    string   `json:"displaymanager"`
	DisplayManagerVer string   `json:"displaymanagerver"`
	TagID             string   `json:"tagid"`
	Instl             int      `json:"instl"`
	ClickBrowser      int      `json:"clickbrowser"`
	Secure            int      `json:"secure"`
	Rwdd              int      `json:"rwdd"`
	SSAI              int      `json:"ssai"`
	Exp               int      `json:"exp"`
	BidFloor          float64  `json:"bidfloor"`
	DT                float64  `json:"dt"`
	BidFloorCur       string   `json:"bidfloorcur"`
	IframeBuster      []string `json:"iframebuster"`
	Ext               *ImpExt  `json:"ext"`
}

type Segment struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

type Data struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	CIDs    []string  `json:"cids"`
	Segment []Segment `json:"segment"`
}

type Publisher struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Domain string   `json:"domain"`
	CatTax int      `json:"cattax"`
	Cat    []string `json:"cat"`
}

type Named struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain string `json:"domain"`
}

type Content struct {
	ID             string   `json:"id"`
	Title          string   `json:"title"`
	Series         string   `json:"series"`
	Genre          string   `json:"genre"`
	URL            string   `json:"url"`
	ContentRating  string   `json:"contentrating"`
	Keywords       string   `json:"keywords"`
	Language       string   `json:"language"`
	LangB          string   `json:"langb"`
	CatTax         int      `json:"cattax"`
	ProdQ          int      `json:"prodq"`
	Context        int      `json:"context"`
	QAGMediaRating int      `json:"qagmediarating"`
	LiveStream     int      `json:"livestream"`
	Len            int      `json:"len"`
	GTax           int      `json:"gtax"`
	Cat            []string `json:"cat"`
	Genres         []string `json:"genres"`
	KwArray        []string `json:"kwarray"`
	Data           []Data   `json:"data"`
	Network        *Named   `json:"network"`
	Channel        *Named   `json:"channel"`
}

type Inventory struct {
	ID                     string     `json:"id"`
	Name                   string     `json:"name"`
	Domain                 string     `json:"domain"`
	Bundle                 string     `json:"bundle"`
	StoreURL               string     `json:"storeurl"`
	Ver                    string     `json:"ver"`
	Page                   string     `json:"page"`
	Ref                    string     `json:"ref"`
	Search                 string     `json:"search"`
	Keywords               string     `json:"keywords"`
	InventoryPartnerDomain string     `json:"inventorypartnerdomain"`
	CatTax                 int        `json:"cattax"`
	Mobile                 int        `json:"mobile"`
	PrivacyPolicy          int        `json:"privacypolicy"`
	Paid                   int        `json:"paid"`
	Cat                    []string   `json:"cat"`
	SectionCat             []string   `json:"sectioncat"`
	PageCat                []string   `json:"pagecat"`
	KwArray                []string   `json:"kwarray"`
	Publisher              *Publisher `json:"publisher"`
	Content                *Content   `json:"content"`
}

type Geo struct {
	Lat       float64 `json:"lat"`
	Lon       float64 `json:"lon"`
	Type      int     `json:"type"`
	Accuracy  int     `json:"accuracy"`
	IPService int     `json:"ipservice"`
	UTCOffset int     `json:"utcoffset"`
	Country   string  `json:"country"`
	Region    string  `json:"region"`
	Metro     string  `json:"metro"`
	City      string  `json:"city"`
	Zip       string  `json:"zip"`
}

type BrandVersion struct {
	Brand   string   `json:"brand"`
	Version []string `json:"version"`
}

type UserAgent struct {
	Browsers     []BrandVersion `json:"browsers"`
	Platform     *BrandVersion  `json:"platform"`
	Mobile       int            `json:"mobile"`
	Source       int            `json:"source"`
	Architecture string         `json:"architecture"`
	Bitness      string         `json:"bitness"`
	Model        string         `json:"model"`
}

type DeviceExt struct {
	SUA     *UserAgent `json:"sua"`
	IFAType string     `json:"ifa_type"`
	ATTS    int        `json:"atts"`
}

type Device struct {
	Geo            *Geo       `json:"geo"`
	DNT            int        `json:"dnt"`
	LMT            int        `json:"lmt"`
	DeviceType     int        `json:"devicetype"`
	H              int        `json:"h"`
	W              int        `json:"w"`
	PPI            int        `json:"ppi"`
	JS             int        `json:"js"`
	GeoFetch       int        `json:"geofetch"`
	ConnectionType int        `json:"connectiontype"`
	UA             string     `json:"ua"`
	IP             string     `json:"ip"`
	IPv6           string     `json:"ipv6"`
	Make           string     `json:"make"`
	Model          string     `json:"model"`
	OS             string     `json:"os"`
	OSV            string     `json:"osv"`
	HWV            string     `json:"hwv"`
	Language       string     `json:"language"`
	LangB          string     `json:"langb"`
	Carrier        string     `json:"carrier"`
	MCCMNC         string     `json:"mccmnc"`
	IFA            string     `json:"ifa"`
	PxRatio        float64    `json:"pxratio"`
	SUA            *UserAgent `json:"sua"`
	Ext            *DeviceExt `json:"ext"`
}

type UID struct {
	ID    string `json:"id"`
	AType int    `json:"atype"`
}

type EID struct {
	Source   string `json:"source"`
	Inserter string `json:"inserter"`
	Matcher  string `json:"matcher"`
	MM       int    `json:"mm"`
	UIDs     []UID  `json:"uids"`
}

type UserExt struct {
	Consent string `json:"consent"`
	EIDs    []EID  `json:"eids"`
}

type User struct {
	ID         string   `json:"id"`
	BuyerUID   string   `json:"buyeruid"`
	Gender     string   `json:"gender"`
	Keywords   string   `json:"keywords"`
	CustomData string   `json:"customdata"`
	Consent    string   `json:"consent"`
	YOB        int      `json:"yob"`
	KwArray    []string `json:"kwarray"`
	Geo        *Geo     `json:"geo"`
	Data       []Data   `json:"data"`
	EIDs       []EID    `json:"eids"`
	Ext        *UserExt `json:"ext"`
}

type Node struct {
	ASI    string `json:"asi"`
	SID    string `json:"sid"`
	RID    string `json:"rid"`
	Name   string `json:"name"`
	Domain string `json:"domain"`
	HP     int    `json:"hp"`
}

type SupplyChain struct {
	Complete int    `json:"complete"`
	Nodes    []Node `json:"nodes"`
	Ver      string `json:"ver"`
}

type SourceExt struct {
	SChain *SupplyChain `json:"schain"`
}

type Source struct {
	FD     int          `json:"fd"`
	TID    string       `json:"tid"`
	PChain string       `json:"pchain"`
	SChain *SupplyChain `json:"schain"`
	Ext    *SourceExt   `json:"ext"`
}

type RegsExt struct {
	GDPR      int    `json:"gdpr"`
	USPrivacy string `json:"us_privacy"`
	GPP       string `json:"gpp"`
	GPPSID    []int  `json:"gpp_sid"`
}

type Regs struct {
	COPPA     int      `json:"coppa"`
	GDPR      int      `json:"gdpr"`
	USPrivacy string   `json:"us_privacy"`
	GPP       string   `json:"gpp"`
	GPPSID    []int    `json:"gpp_sid"`
	Ext       *RegsExt `json:"ext"`
}

type BidRequest struct {
	ID      string     `json:"id"`
	Imp     []Imp      `json:"imp"`
	Site    *Inventory `json:"site"`
	App     *Inventory `json:"app"`
	DOOH    *Inventory `json:"dooh"`
	Device  *Device    `json:"device"`
	User    *User      `json:"user"`
	Test    int        `json:"test"`
	At      int        `json:"at"`
	TMax    int        `json:"tmax"`
	AllImps int        `json:"allimps"`
	CatTax  int        `json:"cattax"`
	WSeat   []string   `json:"wseat"`
	BSeat   []string   `json:"bseat"`
	Cur     []string   `json:"cur"`
	WLang   []string   `json:"wlang"`
	WLangB  []string   `json:"wlangb"`
	ACat    []string   `json:"acat"`
	BCat    []string   `json:"bcat"`
	BAdv    []string   `json:"badv"`
	BApp    []string   `json:"bapp"`
	Source  *Source    `json:"source"`
	Regs    *Regs      `json:"regs"`
}

const answer = `{"id":"0","seatbid":[{"bid":[{"id":"1","impid":"1","price":1.25,"adm":"<a href=\"https://shop.example/\"><img src=\"https://shop.example/ad.png\"></a>","adomain":["shop.example"],"crid":"c1","w":300,"h":250,"mtype":1}]}],"cur":"USD"}`

func bid(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var request BidRequest
	if err := json.Unmarshal(body, &request); err != nil || request.ID == "" || len(request.Imp) == 0 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	io.WriteString(w, answer)
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("{\"port\": %d, \"pid\": %d}\n", listener.Addr().(*net.TCPAddr).Port, os.Getpid())
	http.HandleFunc("/bid/", bid)
	if err := http.Serve(listener, nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
