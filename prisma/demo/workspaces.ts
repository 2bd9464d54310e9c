import { demoId } from "./demo-id.ts";

/** A demo tenant and the source data of its leads. All of it is fictional. */
export interface DemoWorkspace extends Tenant {
  readonly id: string;
}

interface Tenant {
  readonly number: number;
  readonly name: string;
  readonly zone: string;
  readonly from: string;
  readonly digest: string;
  readonly country: string;
  readonly region: string | null;
  /** ISO weekdays, 1 is Monday. */
  readonly days: readonly number[];
  readonly opens: string;
  readonly closes: string;
  readonly gap: number;
  readonly cap: number | null;
  readonly firsts: readonly string[];
  readonly lasts: readonly string[];
  /** Time zones of leads outside the workspace's zone. */
  readonly elsewhere: readonly string[];
}

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

const TENANTS: readonly Tenant[] = [
  {
    number: 1,
    name: "Harbor Solar",
    zone: "America/Los_Angeles",
    from: "Ava Brooks <ava@harbor-solar.example>",
    digest: "sales@harbor-solar.example",
    country: "US",
    region: "CA",
    days: [1, 2, 3, 4, 5],
    opens: "08:00",
    closes: "18:00",
    gap: 120,
    cap: null,
    firsts:
      words(`Ava Liam Mia Noah Zoe Ethan Ruby Owen Nora Caleb Ivy Mateo Elena Diego Camila Jonah Grace Hugo Tessa Miles
      Priya Arjun Mei Kenji Amara Kofi Leila Omar Dana Felix`),
    lasts:
      words(`Brooks Carter Delgado Ellison Foster Garner Hayes Ibarra Jennings Kessler Lowell Mercer Navarro Osborne
      Pruitt Quimby Ramsey Sutter Tillman Underhill Vance Whitaker Yates Zamora Ashby Bellamy Crane Dalton Emerson Flores`),
    elsewhere: ["America/Denver", "America/Chicago", "America/New_York", "Pacific/Honolulu", "America/Phoenix"],
  },
  {
    number: 2,
    name: "Nordlicht Beratung",
    zone: "Europe/Berlin",
    from: "Jonas Adler <jonas@nordlicht.example>",
    digest: "vertrieb@nordlicht.example",
    country: "DE",
    region: "BE",
    days: [1, 2, 3, 4, 5],
    opens: "09:00",
    closes: "17:30",
    gap: 240,
    cap: 2_000,
    firsts:
      words(`Jonas Jürgen Anneke Lena Søren Zoë Björn Käthe Maja Emil Frieda Oskar Ylva Henrik Clara Matthis Greta Anton
      Linnéa Rasmus Paula Ferdinand Ida Konrad Elif Deniz Agnieszka Tomasz Chloé Luc`),
    lasts:
      words(`Adler Brückner Dietz Engelhardt Fröhlich Gärtner Hübner Jansen Krüger Lindqvist Möller Nygaard Oster Pohl
      Rødgaard Schäfer Thomsen Uhlig Vogt Wagenknecht Ziegler Achterberg Böhm Claassen Demir Ekström Falk Groß Holm Iversen`),
    elsewhere: ["Europe/London", "Europe/Lisbon", "Europe/Helsinki", "Europe/Warsaw", "Africa/Casablanca"],
  },
  {
    number: 3,
    name: "Kauri Fitness",
    zone: "Pacific/Auckland",
    from: "Aroha Ngata <aroha@kauri-fitness.example>",
    digest: "team@kauri-fitness.example",
    country: "NZ",
    region: null,
    // Always open, so that there is something to send at any hour.
    days: [1, 2, 3, 4, 5, 6, 7],
    opens: "00:00",
    closes: "00:00",
    gap: 60,
    cap: null,
    firsts:
      words(`Aroha Wiremu Hēmi Mere Tāne Kiri Ngaio Rangi Anahera Manaia Isla Jack Olivia Cooper Willow Beau Harper Archie
      Sione Lupe Mele Tavita Anjali Rohan Mia Finn Poppy Quinn Sienna Tai`),
    lasts:
      words(`Ngata Parata Tamihana Walker Fraser McKenzie Sinclair Faleolo Tuilagi Patel Singh Wilson Hughes Morgan Bennett
      Clarke Doherty Ewing Fairburn Gillies Hāpuku Irwin Jardine Kerr Lomas Maxwell Nairn Ormsby Piripi Rewi`),
    elsewhere: ["Australia/Sydney", "Australia/Perth", "Pacific/Fiji", "Australia/Adelaide", "Pacific/Chatham"],
  },
];

export const WORKSPACES: readonly DemoWorkspace[] = TENANTS.map((tenant) => ({
  ...tenant,
  id: demoId("workspace", tenant.number),
}));

/** A company name combines one word of each list. */
export const COMPANY_WORDS = {
  adjectives:
    words(`Blue Copper Bright Silent Maple Granite Golden Rapid Amber Northern Hollow Velvet Cedar Iron Lucky Misty
    Crimson Quiet Sunny Tidal`),
  nouns:
    words(`Harbor Orchard Foundry Bakery Studio Logistics Meadow Workshop Outfitters Ledger Kitchen Robotics Nursery Press
    Bicycles Dental Roofing Vineyard Apparel Clinic`),
} as const;
