//! A DNS server over UDP that says what a test wants it to say.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{RData, Record, RecordType},
};
use tokio::{net::UdpSocket, task::JoinHandle};

/// One answer.
#[derive(Clone)]
pub(crate) enum Says {
    /// Those of the addresses that are of the family asked for.
    Addresses(Vec<IpAddr>),
    /// An answer with this code and no records.
    Code(ResponseCode),
    /// No answer at all.
    Nothing,
}

impl Says {
    pub(crate) fn address(address: &str) -> Self {
        Self::Addresses(vec![address.parse().unwrap()])
    }
}

/// Answers until it is dropped.
pub(crate) struct DnsServer {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl DnsServer {
    /// `say` is given the name that is asked for, without the dot at its end, and whether IPv6
    /// addresses are asked for.
    pub(crate) async fn start(say: impl Fn(&str, bool) -> Says + Send + Sync + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
                let request = Message::from_vec(&buffer[..length]).unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                if let Some(answer) = answer(&request, &say) {
                    socket.send_to(&answer, client).await.unwrap();
                }
            }
        });
        Self { address, asked, task }
    }

    /// How many questions were asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(request: &Message, say: &impl Fn(&str, bool) -> Says) -> Option<Vec<u8>> {
    let query = request.queries[0].clone();
    let name = query.name().to_ascii();
    let ipv6 = query.query_type() == RecordType::AAAA;
    let mut response = Message::response(request.metadata.id, request.metadata.op_code);
    response.metadata.recursion_available = true;
    match say(name.trim_end_matches('.'), ipv6) {
        Says::Nothing => return None,
        Says::Code(code) => response.metadata.response_code = code,
        Says::Addresses(addresses) => {
            for address in addresses.into_iter().filter(|address| address.is_ipv6() == ipv6) {
                // Not to be kept: the next answer may be another.
                response.add_answer(Record::from_rdata(query.name().clone(), 0, RData::from(address)));
            }
        }
    }
    response.add_query(query);
    Some(response.to_vec().unwrap())
}
